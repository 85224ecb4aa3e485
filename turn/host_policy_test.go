package turn

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"tourbillon/timing/timingtest"
)

// TestHostPolicyFollowsTheHost adds an interface, fails once, and takes the interface away again.
func TestHostPolicyFollowsTheHost(t *testing.T) {
	clock := timingtest.NewManual()
	cfg := Config{
		Secrets: [][]byte{[]byte("s")}, Clock: clock, AllowPeers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}.withDefaults()
	c := newCore(cfg)
	var host HostAddrs
	var problem error
	p := &hostPolicy{core: c, cfg: cfg, gather: func() (HostAddrs, error) { return host, problem }}
	if err := p.refresh(); err != nil {
		t.Fatal(err)
	}
	watch := p.watch()
	defer watch.StopAndWait()
	bridge := netip.MustParseAddrPort("10.9.9.1:5000")
	expect := func(when string, want Verdict) {
		t.Helper()
		if got := c.policy.Load().Judge(bridge, c.relays.isLive); got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	expect("before", Verdict{Allowed: true, Reason: ReasonAllowed})
	before := c.policy.Load()
	clock.Advance(hostInterval)
	if c.policy.Load() != before {
		t.Error("the policy is replaced although nothing has changed")
	}
	host.Interfaces = []netip.Addr{bridge.Addr()}
	clock.Advance(hostInterval - time.Nanosecond)
	expect("before the next reading", Verdict{Allowed: true, Reason: ReasonAllowed})
	clock.Advance(time.Nanosecond)
	expect("with the interface", Verdict{Reason: ReasonOwnHost})
	host, problem = HostAddrs{}, errors.New("no netlink")
	clock.Advance(hostInterval)
	expect("while the host cannot be read", Verdict{Reason: ReasonOwnHost})
	problem = nil
	clock.Advance(hostInterval)
	expect("without the interface", Verdict{Allowed: true, Reason: ReasonAllowed})
}
