package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// errNoOutside is why relays may be announced at an address that nobody reaches.
var errNoOutside = errors.New("the outside address is not known: turn.stun_servers told none")

// errDraining is why a process that stops is not ready.
var errDraining = errors.New("draining: no allocation is made any more")

// health is what /readyz answers.
type health struct {
	Ready bool `json:"ready"`
	// Problems are in words, for people.
	Problems []string `json:"problems"`
}

// healthHandler serves what needs no login on the admin listener: /livez, /readyz and /metrics, of which none names a
// user. Everything else is the admin page's.
func (a *appliance) healthHandler(metrics, admin http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.Handle("GET /metrics", metrics)
	mux.Handle("/", admin)
	return mux
}

// serveReady answers 200 while the relay relays, else 503 with the reasons.
func (a *appliance) serveReady(w http.ResponseWriter, r *http.Request) {
	answer := health{Ready: true, Problems: []string{}}
	for _, err := range a.problems(r.Context()) {
		answer.Ready, answer.Problems = false, append(answer.Problems, err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // The reader went away: nobody to tell.
}

// problems are what keeps us from being ready. That relaying works is shown by the call of the appliance to itself
// through its own relay, which never ends.
func (a *appliance) problems(ctx context.Context) (problems []error) {
	if a.turn.Stats().Draining {
		problems = append(problems, errDraining)
	}
	if len(a.config.TURN.STUNServers) > 0 {
		if found, ok := a.turn.External(); !ok {
			problems = append(problems, errors.Join(errNoOutside, found.Err))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := a.clock.AfterFunc(probeLimit, cancel)
	defer timer.Stop()
	if err := a.turnAnswers(ctx); err != nil {
		problems = append(problems, err)
	}
	if self := a.selfCall.Status(); self.State != "connected" {
		problems = append(problems, fmt.Errorf("the call to ourselves through our relay is %s: %s", self.State, self.Reason))
	}
	return problems
}
