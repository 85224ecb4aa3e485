package turn

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

// hostInterval is how often the host's own addresses are read anew: a new interface, gateway or resolver is a peer that
// must not be reached through us for longer.
const hostInterval = 10 * time.Second

// hostPolicy keeps the policy in step with the host. One refresh runs at a time, and owns last.
type hostPolicy struct {
	core   *core
	cfg    Config
	gather func() (HostAddrs, error)
	busy   atomic.Bool
	last   []netip.Addr
	warn   logGate
}

// refresh reads the host's addresses and, where they or the relays' have changed, replaces the policy. While they
// cannot be read, the policy in force stays.
func (p *hostPolicy) refresh() error {
	if !p.busy.CompareAndSwap(false, true) {
		return nil
	}
	defer p.busy.Store(false)
	host, err := p.gather()
	if err != nil {
		return fmt.Errorf("read the host's own addresses: %w", err)
	}
	relays := p.core.relays.addresses()
	own := append(host.All(), relays...)
	for _, a := range p.cfg.relayAddresses() {
		own = append(own, a.announce, a.bind)
	}
	slices.SortFunc(own, netip.Addr.Compare)
	if own = slices.Compact(own); slices.Equal(own, p.last) {
		return nil
	}
	p.last = own
	p.core.policy.Store(NewPolicy(relays, p.cfg.MuxPorts, p.cfg.AllowPeers, p.cfg.DenyPeers, own))
	p.core.relays.invalidate()
	return nil
}

// watch refreshes on the clock's grid until stopped.
func (p *hostPolicy) watch() *timing.Periodic {
	clock := p.core.clock
	return timing.Every(clock, clock.Now().Add(hostInterval), hostInterval, func(timing.Tick) {
		if err := p.refresh(); err != nil {
			if suppressed, ok := p.warn.pass(clock.Now()); ok {
				p.core.log.Warn("turn: the list of denied peers is not refreshed", "error", err, "suppressed", suppressed)
			}
		}
	})
}
