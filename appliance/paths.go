package appliance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"tourbillon/signaling"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/signaling/agent/pairs"
	"tourbillon/timing"
)

// clientSetUp is how long two clients may take to connect before the first restart: both are in the room, so only the
// network is to be waited for.
const clientSetUp = 15 * time.Second

// orchestrator is what signaling asks about the paths between clients: package pairs, with the routes that there are.
type orchestrator struct{ routes []orchestrate.Route }

// orchestrator offers the routes that the relay listens for.
func (a *appliance) orchestrator() orchestrator {
	urls, _, _, _ := a.turn.ICEServers("", time.Now(), a.turnHost("localhost"))
	return orchestrator{routes: routesOf(urls)}
}

// routesOf are the routes that a client has with these ICE servers, in the order of escalation.
func routesOf(urls []string) []orchestrate.Route {
	routes := []orchestrate.Route{orchestrate.Direct}
	for _, route := range []orchestrate.Route{orchestrate.RelayUDP, orchestrate.RelayTCP, orchestrate.RelayTLS} {
		if slices.ContainsFunc(urls, func(url string) bool { return routeOf(url) == route }) {
			routes = append(routes, route)
		}
	}
	return routes
}

// routeOf is the route by way of a TURN URL (RFC 7065); empty for STUN.
func routeOf(url string) orchestrate.Route {
	switch {
	case strings.HasPrefix(url, "turns:"):
		return orchestrate.RelayTLS
	case !strings.HasPrefix(url, "turn:"):
		return ""
	case strings.HasSuffix(url, "?transport=tcp"):
		return orchestrate.RelayTCP
	}
	return orchestrate.RelayUDP
}

// Follow begins to follow the path between two peers.
func (o orchestrator) Follow(now timing.Instant) signaling.Path {
	return path{pairs.New(orchestrate.Config{Routes: o.routes, SetUp: clientSetUp}, now)}
}

// path puts a pair into signaling's words.
type path struct{ pair *pairs.Pair }

func (p path) Apply(e signaling.PathEvent, now timing.Instant) signaling.PathOrder {
	order := p.pair.Apply(pairs.Event{
		Kind: pairs.Kind(e.Kind), By: orchestrate.Side(e.By), Path: pairs.Path{Kind: e.Via, Transport: e.Transport},
	}, now)
	status := p.pair.Status()
	return signaling.PathOrder{
		Ask: signaling.PathSide(order.Ask), Route: string(status.Route), Wake: order.Wake,
		Changed: order.Changed, State: string(status.State), Attempt: status.Attempt, Failed: order.Failed,
	}
}

func (p path) Status(now timing.Instant) signaling.PathStatus {
	s, m := p.pair.Status(), p.pair.Machine()
	status := signaling.PathStatus{
		State: string(s.State), Route: string(s.Route), Since: s.Since, Attempt: s.Attempt, Restarts: s.Restarts, Wake: s.Wake,
		Phases: map[string]time.Duration{}, Impolite: pathReport(s.Impolite), Polite: pathReport(s.Polite),
	}
	for state, d := range m.Phases(now) {
		status.Phases[string(state)] = d
	}
	for _, e := range m.Timeline() {
		status.Timeline = append(status.Timeline, signaling.PathEntry{
			State: string(e.State), Route: string(e.Route), Event: string(e.Event), By: signaling.PathSide(e.By), At: e.At,
		})
	}
	return status
}

func pathReport(s pairs.Side) signaling.PathReport {
	return signaling.PathReport{
		Kind: signaling.PathKind(s.Report), Via: s.Path.Kind, Transport: s.Path.Transport, At: s.At, Away: s.Away,
	}
}

// shownPath is the path between two peers at GET /api/paths. Times are milliseconds since 1970, durations microseconds.
// Attempt counts the restarts since the connection was last stable, Restarts all. NextMS is when the server goes on by
// itself; left out where it waits for the clients.
type shownPath struct {
	Room     string             `json:"room"`
	State    string             `json:"state"`
	SinceMS  int64              `json:"since_ms"`
	Route    string             `json:"route"`
	Attempt  int                `json:"attempt"`
	Restarts int                `json:"restarts"`
	NextMS   int64              `json:"next_ms,omitempty"`
	PhasesUS map[string]float64 `json:"phases_us"`
	Impolite shownSide          `json:"impolite"`
	Polite   shownSide          `json:"polite"`
	Timeline []shownPathEntry   `json:"timeline"`
}

// shownSide is one peer of a path and what it reported last, Report empty for nothing.
type shownSide struct {
	Peer       string `json:"peer"`
	Report     string `json:"report"`
	Via        string `json:"via,omitempty"`
	Transport  string `json:"transport,omitempty"`
	ReportedMS int64  `json:"reported_ms,omitempty"`
	Away       bool   `json:"away"`
}

// shownPathEntry is one line of a timeline: the state, the event that led to it, and the side that reported it, left out for
// the passing of time.
type shownPathEntry struct {
	AtMS  int64  `json:"at_ms"`
	State string `json:"state"`
	Route string `json:"route"`
	Event string `json:"event,omitempty"`
	By    string `json:"by,omitempty"`
}

// servePaths lists the paths between clients and what each went through; "room" narrows it down to one room.
func (a *appliance) servePaths(w http.ResponseWriter, r *http.Request) {
	wall := wallClock{time.Now(), a.clock.Now()}
	shown := []shownPath{}
	for _, info := range a.signaling.Paths(r.URL.Query().Get("room")) {
		shown = append(shown, wall.path(info))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(shown) // The reader went away: nobody to tell.
}

func (c wallClock) path(info signaling.PathInfo) shownPath {
	s := shownPath{
		Room: info.Room, State: info.State, SinceMS: c.of(info.Since), Route: info.Route,
		Attempt: info.Attempt, Restarts: info.Restarts, NextMS: c.of(info.Wake),
		PhasesUS: map[string]float64{}, Timeline: []shownPathEntry{},
		Impolite: c.side(info.PathStatus.Impolite, info.Impolite), Polite: c.side(info.PathStatus.Polite, info.Polite),
	}
	for state, d := range info.Phases {
		s.PhasesUS[state] = micros(d)
	}
	for _, e := range info.Timeline {
		s.Timeline = append(s.Timeline, shownPathEntry{AtMS: c.of(e.At), State: e.State, Route: e.Route, Event: e.Event, By: string(e.By)})
	}
	return s
}

func (c wallClock) side(report signaling.PathReport, peer string) shownSide {
	return shownSide{
		Peer: peer, Report: string(report.Kind), Via: report.Via, Transport: report.Transport,
		ReportedMS: c.of(report.At), Away: report.Away,
	}
}
