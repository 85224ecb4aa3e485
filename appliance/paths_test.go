package appliance

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"tourbillon/signaling"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/signaling/client"
	"tourbillon/timing"
)

func TestRoutesOfTheRelay(t *testing.T) {
	for _, test := range []struct {
		urls string
		want []orchestrate.Route
	}{
		{"stun:h:3478", []orchestrate.Route{orchestrate.Direct}},
		{"stun:h:3478 turn:h:3478 turn:h:3478?transport=tcp", []orchestrate.Route{orchestrate.Direct, orchestrate.RelayUDP, orchestrate.RelayTCP}},
		{"turns:h:443?transport=tcp turn:h:3478?transport=udp", []orchestrate.Route{orchestrate.Direct, orchestrate.RelayUDP, orchestrate.RelayTLS}},
	} {
		if got := routesOf(strings.Fields(test.urls)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.urls, got, test.want)
		}
	}
}

// TestWhyACallStalled has two clients report a call that broke, and reads from the API who saw what and what was done.
func TestWhyACallStalled(t *testing.T) {
	server := signaling.New(signaling.Config{
		OpenRooms: true, Orchestrator: orchestrator{routes: routesOf([]string{"turn:h:3478?transport=udp"})},
	})
	e := echo.New()
	server.Register(e)
	host := httptest.NewServer(e)
	defer host.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	defer func() { _ = server.Shutdown(ctx) }()
	join := func() *client.Room {
		r, err := client.Join(ctx, "ws"+strings.TrimPrefix(host.URL, "http")+"/ws", client.Options{Room: "demo"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	ada, bob := join(), join()
	if !bob.LooksAfterPaths() {
		t.Error("the server does not say that it looks after paths")
	}
	say := func(r *client.Room, to, state, via string) {
		t.Helper()
		if err := r.ReportPath(to, state, via, ""); err != nil {
			t.Fatal(err)
		}
	}
	say(bob, ada.ID(), "gathering", "")
	say(bob, ada.ID(), "checking", "")
	say(bob, ada.ID(), "connected", "direct")
	say(bob, ada.ID(), "failed", "")
	for asked := false; !asked; {
		event, open := <-ada.Events()
		if !open {
			t.Fatal(ada.Err())
		}
		var restart client.Restart
		if restart, asked = event.(client.Restart); asked && (restart.From != bob.ID() || restart.Route != "direct") {
			t.Errorf("asked %+v", restart)
		}
	}
	a := &appliance{signaling: server}
	a.clock.Clock = timing.Runtime{}
	read := func(query string) (paths []shownPath) {
		answer := httptest.NewRecorder()
		a.servePaths(answer, httptest.NewRequest(http.MethodGet, "/api/paths"+query, nil))
		if err := json.Unmarshal(answer.Body.Bytes(), &paths); err != nil || answer.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		return paths
	}
	if other := read("?room=other"); len(other) != 0 {
		t.Errorf("another room has %+v", other)
	}
	paths := read("?room=demo")
	if len(paths) != 1 {
		t.Fatalf("paths %+v", paths)
	}
	p, lines := paths[0], []string{}
	for _, line := range p.Timeline {
		lines = append(lines, strings.Join([]string{line.State, line.Route, line.Event, line.By}, " "))
		if at := time.UnixMilli(line.AtMS); time.Since(at).Abs() > time.Hour {
			t.Errorf("a line is of %v", at)
		}
	}
	want := []string{
		"gathering direct  ", "checking direct gathered polite", "connected direct pair-selected polite", "consent-lost direct lost polite",
	}
	if !slices.Equal(lines, want) || p.State != "consent-lost" || p.Restarts != 1 || p.NextMS <= p.SinceMS || len(p.PhasesUS) != 4 {
		t.Errorf("shown %+v", p)
	}
	if p.Polite.Report != "failed" || p.Polite.Peer != bob.ID() || p.Impolite.Peer != ada.ID() || p.Impolite.Report != "" {
		t.Errorf("sides %+v and %+v", p.Polite, p.Impolite)
	}
}
