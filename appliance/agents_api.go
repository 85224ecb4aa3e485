package appliance

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// shownAgents is what GET /api/agents answers; openapi-admin.yaml describes it field by field, and a test holds the two
// together. Instants are milliseconds since 1970, durations microseconds.
type shownAgents struct {
	Enabled   bool        `json:"enabled"`
	Addresses []string    `json:"addresses"`
	Pacing    shownPacing `json:"pacing"`
	KeptBack  shownKept   `json:"kept_back"`
	Calls     []shownCall `json:"calls"`
}

// shownPacing is what became of connectivity checks, of all agents or of one.
type shownPacing struct {
	Sent             int     `json:"sent"`
	Dropped          int     `json:"dropped"`
	Replaced         int     `json:"replaced"`
	QueueMeanUS      float64 `json:"queue_mean_us"`
	QueueLongestUS   float64 `json:"queue_longest_us"`
	EndedBeforeTurn  int     `json:"ended_before_turn"`
	TargetIntervalUS float64 `json:"target_interval_us"`
}

// shownKept counts datagrams that did not leave, and answers that did not count.
type shownKept struct {
	Forbidden uint64 `json:"forbidden"`
	Foreign   uint64 `json:"foreign"`
	Stopped   uint64 `json:"stopped"`
	Forged    uint64 `json:"forged"`
}

// shownCall is one call that has not ended. Room and peer are names of the caller's, to be shown as text only.
type shownCall struct {
	Room            string             `json:"room"`
	Peer            string             `json:"peer"`
	Address         string             `json:"address"`
	State           string             `json:"state"`
	Route           string             `json:"route"`
	SinceMS         int64              `json:"since_ms"`
	AgeUS           float64            `json:"age_us"`
	Pair            *shownPair         `json:"pair"`
	Consent         shownConsent       `json:"consent"`
	Pacing          shownPacing        `json:"pacing"`
	Bytes           int64              `json:"bytes"`
	DroppedMessages int64              `json:"dropped_messages"`
	PassedOver      int64              `json:"candidates_passed_over"`
	PhasesUS        map[string]float64 `json:"phases_us"`
	Timeline        []shownEntry       `json:"timeline"`
}

// shownPair is the pair that was selected last.
type shownPair struct {
	Local      string `json:"local"`
	LocalType  string `json:"local_type"`
	Remote     string `json:"remote"`
	RemoteType string `json:"remote_type"`
}

// shownConsent is what the answers to consent checks tell of the present pair.
type shownConsent struct {
	State     string  `json:"state"`
	RenewedMS int64   `json:"renewed_ms"`
	Checks    int     `json:"checks"`
	Answers   int     `json:"answers"`
	RTTUS     float64 `json:"rtt_us"`
	RTTVarUS  float64 `json:"rttvar_us"`
	JitterUS  float64 `json:"jitter_us"`
}

// shownEntry is a state that a call entered.
type shownEntry struct {
	State string `json:"state"`
	Route string `json:"route"`
	AtMS  int64  `json:"at_ms"`
}

// serveAgents lists the calls of the appliance as a peer, oldest first.
func (a *appliance) serveAgents(w http.ResponseWriter, _ *http.Request) {
	shown := shownAgents{Addresses: []string{}, Calls: []shownCall{}}
	if a.agents != nil {
		shown = a.agents.show(wallClock{time.Now(), a.clock.Now()}, a.config.Agents.CheckInterval)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(shown) // The reader went away: nobody to tell.
}

func (g *agents) show(at wallClock, interval time.Duration) shownAgents {
	counts, calls := g.socket.Counts(), g.answerer.Calls()
	slices.SortFunc(calls, func(a, b agent.CallStatus) int { return cmp.Compare(a.Began, b.Began) })
	shown := shownAgents{
		Enabled: true, Addresses: make([]string, len(g.addresses)), Pacing: showPacing(counts.Pacing, interval), KeptBack: showKept(counts),
		Calls: make([]shownCall, len(calls)),
	}
	for i, address := range g.addresses {
		shown.Addresses[i] = address.String()
	}
	for i, c := range calls {
		shown.Calls[i] = showCall(c, at, interval)
	}
	return shown
}

func showKept(c link.Counts) shownKept {
	return shownKept{Forbidden: c.Forbidden, Foreign: c.Foreign, Stopped: c.Stopped, Forged: c.Forged}
}

func showPacing(c pacing.Counts, interval time.Duration) shownPacing {
	return shownPacing{
		Sent: c.Sent, Dropped: c.Dropped, Replaced: c.Replaced, EndedBeforeTurn: c.Ended, TargetIntervalUS: micros(interval),
		QueueMeanUS: micros(c.Waited) / float64(max(c.Sent, 1)), QueueLongestUS: micros(c.Longest),
	}
}

func showCall(c agent.CallStatus, at wallClock, interval time.Duration) shownCall {
	s := shownCall{
		Room: c.Caller.Room, Peer: c.Caller.Peer, Address: c.Caller.Address.String(), State: string(c.State), Route: string(c.Route),
		SinceMS: at.of(c.Began), AgeUS: micros(at.instant.Sub(c.Began)), Pair: showPair(c.Pair), Consent: showConsent(c.Path, at),
		Pacing: showPacing(c.Path.Pacing, interval), Bytes: c.Bytes, DroppedMessages: c.Dropped, PassedOver: c.PassedOver,
		PhasesUS: make(map[string]float64, len(c.Phases)), Timeline: make([]shownEntry, len(c.Timeline)),
	}
	for state, d := range c.Phases {
		s.PhasesUS[string(state)] = micros(d)
	}
	for i, e := range c.Timeline {
		s.Timeline[i] = shownEntry{State: string(e.State), Route: string(e.Route), AtMS: at.of(e.At)}
	}
	return s
}

// showPair is nil before a pair was selected.
func showPair(p agent.Pair) *shownPair {
	if !p.Remote.IsValid() {
		return nil
	}
	return &shownPair{Local: shownAddress(p.Local), LocalType: p.LocalType, Remote: p.Remote.String(), RemoteType: p.RemoteType}
}

// shownAddress is empty for no address.
func shownAddress(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func showConsent(s link.Status, at wallClock) shownConsent {
	shown := shownConsent{
		State: string(s.Consent), Checks: s.Quality.Checks, Answers: s.Quality.Answers,
		RTTUS: micros(s.Quality.RTT.Smoothed), RTTVarUS: micros(s.Quality.RTT.Variation), JitterUS: micros(s.Quality.RTT.Jitter),
	}
	if s.Consent != consent.None {
		shown.RenewedMS = at.of(s.Renewed)
	}
	return shown
}

// wallClock is one moment on both clocks.
type wallClock struct {
	time    time.Time
	instant timing.Instant
}

// of is an instant as milliseconds since 1970, 0 for none.
func (w wallClock) of(at timing.Instant) int64 {
	if at == 0 || at == timing.Never {
		return 0
	}
	return w.time.Add(at.Sub(w.instant)).UnixMilli()
}
