package peerjs

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tourbillon/timing"
)

// pageAllowed reports whether a page may use the service. A request without Origin comes from no page.
func (c Config) pageAllowed(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	page, err := url.Parse(origins[0])
	switch {
	case len(origins) > 1:
		return false
	case slices.ContainsFunc(c.Origins, func(o string) bool { return o == "*" || strings.EqualFold(strings.TrimSuffix(o, "/"), origins[0]) }):
		return true
	case err != nil || page.Host == "": // "null", of a page from a file or in a sandbox.
		return false
	case c.LoopbackPages && isLoopback(page.Hostname()):
		return true
	}
	return strings.EqualFold(page.Host, r.Host)
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

// hostOf is a Host header without port and brackets.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}

// pace is a token bucket that holds only when it will be full again (the generic cell rate algorithm, ITU-T I.371
// annex A). The zero value is full. It is pure: its owner serialises calls and tells the time.
type pace struct{ full timing.Instant }

// take takes one token of burst, which come back at rate per second; false when none is left.
func (p *pace) take(now timing.Instant, rate, burst float64) bool {
	one := time.Duration(float64(time.Second) / rate)
	full := max(p.full, now).Add(one)
	if full.Sub(now) > time.Duration(burst*float64(one)) {
		return false
	}
	p.full = full
	return true
}

// maxTracked bounds the networks whose pace is remembered, so that a flood from many addresses cannot fill memory.
const maxTracked = 4096

// gate counts what the networks of clients use: an IPv4 address or an IPv6 /64, which one customer holds whole.
type gate struct {
	limits Limits

	// mu guards what follows.
	mu    sync.Mutex
	conns map[netip.Prefix]int
	opens map[netip.Prefix]*pace
}

func newGate(limits Limits) *gate {
	return &gate{limits: limits, conns: map[netip.Prefix]int{}, opens: map[netip.Prefix]*pace{}}
}

// ask counts one request; false when the network's pace is spent.
func (g *gate) ask(network netip.Prefix, now timing.Instant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.askLocked(network, now)
}

// open counts a request and a connection, until close; false when the network has too many of either.
func (g *gate) open(network netip.Prefix, now timing.Instant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.limits.Off && g.conns[network] >= g.limits.PerAddress || !g.askLocked(network, now) {
		return false
	}
	g.conns[network]++
	return true
}

func (g *gate) close(network netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns[network]--; g.conns[network] <= 0 {
		delete(g.conns, network)
	}
}

func (g *gate) askLocked(network netip.Prefix, now timing.Instant) bool {
	if g.limits.Off {
		return true
	}
	p := g.opens[network]
	if p == nil {
		if len(g.opens) >= maxTracked && !g.forgetLocked(now) {
			return false
		}
		p = &pace{}
		g.opens[network] = p
	}
	return p.take(now, g.limits.OpensPerSecond, 10*g.limits.OpensPerSecond)
}

// forgetLocked drops the networks whose pace is full again; false when there is none.
func (g *gate) forgetLocked(now timing.Instant) bool {
	for network, p := range g.opens {
		if p.full <= now {
			delete(g.opens, network)
		}
	}
	return len(g.opens) < maxTracked
}

// networkOf is what limits go by.
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := 32
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}
