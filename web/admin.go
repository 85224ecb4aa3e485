package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// AdminConfig is what the admin listener needs.
type AdminConfig struct {
	// Key authenticates links and cookies; at least 32 random bytes, kept over restarts so that pages stay logged in.
	Key []byte
	// Hello is the first event on each stream.
	Hello Hello
	// Now tells the wall clock, against which links and cookies expire.
	Now func() time.Time
	// SetHeartbeat changes the interval of the pings to a class of clients, or to "all", and returns how many
	// connections it reached. Its errors are for the operator to read. Nil where there is nothing to change.
	SetHeartbeat func(class string, interval time.Duration) (connections int, err error)
	// LoopbackOnly is true while the listener is on loopback.
	LoopbackOnly bool
	// Routes are further patterns that only an admin may see.
	Routes map[string]http.Handler
}

// Admin serves the admin page and its API. Every route but /login wants the cookie that a link from [AdminLink] gives.
type Admin struct {
	feed         *feed
	handler      http.Handler
	setHeartbeat func(class string, interval time.Duration) (int, error)
}

// NewAdmin returns the admin listener's handler.
func NewAdmin(c AdminConfig) *Admin {
	a := &Admin{feed: newFeed(c.Hello), setHeartbeat: c.SetHeartbeat}
	d := &door{key: c.Key, now: c.Now, used: map[string]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", d.serveLogin)
	for pattern, handler := range a.routes() {
		mux.Handle(pattern, d.guard(handler))
	}
	for pattern, handler := range c.Routes {
		mux.Handle(pattern, d.guard(handler))
	}
	a.handler = withHeaders(adminPolicy, http.NewCrossOriginProtection().Handler(mux))
	if c.LoopbackOnly {
		a.handler = LoopbackHosts(a.handler)
	}
	return a
}

// routes lists what only an admin may see.
func (a *Admin) routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"/":               newPages("dist/app"),
		"GET /api/stream": http.HandlerFunc(a.feed.serveStream),
		"GET /api/state":  http.HandlerFunc(a.serveState),
	}
	if a.setHeartbeat != nil {
		routes["POST /api/heartbeat"] = http.HandlerFunc(a.serveHeartbeat)
	}
	return routes
}

// ServeHTTP serves the admin listener.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Publish adds a Sample to the chart and shows it on all open pages, with the State that describe makes of it. describe is
// called when somebody looks, now or later, on any goroutine.
func (a *Admin) Publish(sample Sample, describe func(Sample) State) { a.feed.publish(sample, describe) }

// Close ends the open streams, so that the HTTP server can shut down.
func (a *Admin) Close() { a.feed.close() }

func (a *Admin) serveState(w http.ResponseWriter, _ *http.Request) {
	hello, state := a.feed.current()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct {
		Hello Hello `json:"hello"`
		State State `json:"state"`
	}{hello, state}) // The reader went away: nobody to tell.
}

func (d *door) serveLogin(w http.ResponseWriter, r *http.Request) {
	if !d.open(r.URL.Query().Get("token")) {
		refuse(w, http.StatusForbidden, "This link is wrong, older than ten minutes or was used before.")
		return
	}
	http.SetCookie(w, d.cookie(r.TLS != nil))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (d *door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.admits(r) {
			refuse(w, http.StatusUnauthorized, "The admin page opens by a link.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, wrong string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, wrong+" Run `tourbillon admin-link` on the server for a fresh one.", status)
}
