package appliance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"tourbillon/appliance/observe"
	"tourbillon/signaling"
	"tourbillon/timing"
	"tourbillon/web"
)

func (a *appliance) openAdmin() error {
	a.admin = web.NewAdmin(web.AdminConfig{
		Key: a.secrets.Admin, Hello: a.hello(), Now: time.Now, LoopbackOnly: a.adminLoopback(),
		Routes: a.adminRoutes(),
		SetHeartbeat: func(class string, interval time.Duration) (int, error) {
			return a.signaling.SetHeartbeat(signaling.Class(class), interval)
		},
	})
	var certificate *tls.Config
	if !a.adminLoopback() {
		var err error
		if certificate, err = a.certificate(); err != nil {
			return err
		}
		if certificate == nil {
			a.log.Warn("the admin page is served without TLS on another host than loopback", "listen", a.config.Admin.Listen)
		}
	}
	var err error
	a.adminHTTP, err = listenHTTP("admin.listen", a.config.Admin.Listen, certificate, a.adminHandler(), a.log, a.failed)
	if err != nil {
		return err
	}
	a.onClose(func(ctx context.Context) error {
		a.admin.Close()
		return a.adminHTTP.close(ctx)
	})
	if err := writeAdminURL(a.dir, a.adminURL()); err != nil {
		return err
	}
	a.onClose(func(context.Context) error { return removeAdminURL(a.dir, a.adminURL()) })
	return nil
}

// adminRoutes are our own of the routes that only an admin may see; openapi-admin.yaml describes them.
func (a *appliance) adminRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /api/allocations":  http.HandlerFunc(a.serveAllocations),
		"GET /api/agents":       http.HandlerFunc(a.serveAgents),
		"GET /api/paths":        http.HandlerFunc(a.servePaths),
		"GET /api/openapi.yaml": http.HandlerFunc(serveOpenAPIAdmin),
		"GET /check/":           http.HandlerFunc(a.leadToCheck),
	}
}

// leadToCheck leads from the admin page to the pre-call test, which is on the public listener and asks for a token where
// rooms do: whoever is logged in here gets one.
func (a *appliance) leadToCheck(w http.ResponseWriter, r *http.Request) {
	check := a.checkURL.Load()
	if check == nil {
		http.Error(w, "The public listener is not open yet: try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Cache-Control", "no-store") // The token is for one visit, and settings may change between two runs.
	http.Redirect(w, r, a.checkLink(*check), http.StatusFound)
}

// adminHandler is everything on the admin listener.
func (a *appliance) adminHandler() http.Handler {
	registry := observe.NewMetrics(a.build, a.turn, func() (bool, time.Duration) {
		self := a.selfCall.Status()
		return self.State == "connected", self.RTT.Smoothed
	})
	if a.agents != nil {
		registry.MustRegister(observe.NewAgentMetrics(a.agents.answerer, a.agents.socket))
	}
	registry.MustRegister(observe.NewLimitMetric(turnLimitsOf(a.config)))
	registry.MustRegister(observe.NewReloadMetric(func() bool { return !a.reloadFailed.Load() }))
	handler := a.healthHandler(observe.MetricsHandler(registry), a.admin)
	if a.adminLoopback() {
		handler = web.LoopbackHosts(handler)
	}
	return handler
}

func (a *appliance) adminLoopback() bool {
	host, _, err := net.SplitHostPort(a.config.Admin.Listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (a *appliance) adminURL() string {
	scheme := "http"
	if !a.adminLoopback() && a.config.TLS.Cert != "" {
		scheme = "https"
	}
	return scheme + "://" + a.named(a.adminHTTP.address())
}

// hello is what the admin page is told first.
func (a *appliance) hello() web.Hello {
	return web.Hello{
		Version: observe.Version, Server: a.id,
		Clock: a.clock.Name, ClockNote: a.clock.Note, Retimed: a.build.Timers.Retimed(),
		Host:     a.facts(),
		PeriodMS: int(samplePeriod / time.Millisecond),
		History:  []web.Sample{},
	}
}

// facts are what bears on jitter: of the program, then of the host.
func (a *appliance) facts() []web.Fact {
	facts := []web.Fact{
		{Name: "Running since", Value: a.started.UTC().Format(time.RFC3339)},
		{Name: "Clock", Value: a.clock.Name + ", " + a.clock.Note},
		{Name: "Pion timers", Value: a.pionFact()},
		{Name: "Limits", Value: a.config.Limits},
		{Name: "Go", Value: a.build.Go},
	}
	for _, line := range timing.ReadHost().Lines() {
		facts = append(facts, web.Fact{Name: line[0], Value: line[1]})
	}
	return facts
}

func (a *appliance) pionFact() string {
	if a.build.Timers.Retimed() {
		return fmt.Sprintf("%d modules on the injected clock", len(a.build.Timers.Modules))
	}
	return "package time (this build is not re-timed)"
}
