package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// standingFor has a name stand for addresses.
func standingFor(of ...string) lookup {
	return func(context.Context, string, string) (found []netip.Addr, err error) {
		for _, text := range of {
			found = append(found, netip.MustParseAddr(text))
		}
		return found, nil
	}
}

// silentAt takes UDP packets at an address and never answers.
func silentAt(t *testing.T, at netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
}

func addressAt(address string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), port)
}

// TestNextAddressOverUDP has a name's first address have nobody, and its second a server: over UDP as over TCP the second is
// taken for every step, and the first is told of.
func TestNextAddressOverUDP(t *testing.T) {
	at, o := serve(t, nil)
	o.lookup = standingFor("127.0.0.2", "127.0.0.1")
	for _, c := range []Target{{TURN, "dual.test", at[turn.UDP].Port(), UDP}, {TURN, "dual.test", at[turn.TCP].Port(), TCP}} {
		t.Run(string(c.Transport), func(t *testing.T) {
			s := only(t, []Target{c}, o)
			if !s.OK || len(s.Problems) != 1 || s.Problems[0].Code != CodeAddress || s.Allocation == nil || len(s.Series) != 2 {
				t.Fatalf("%+v", problems(s))
			}
			if got := addressAt("127.0.0.1", c.Port).String(); s.Address != got || s.Mapped != s.Local {
				t.Errorf("%s, want %s; mapped %s, local %s", s.Address, got, s.Mapped, s.Local)
			}
			if !strings.Contains(s.Problems[0].What, addressAt("127.0.0.2", c.Port).String()) {
				t.Errorf("%+v", problems(s))
			}
		})
	}
}

// TestSilentAddress has a name's first address swallow packets: it has half of the step's time.
func TestSilentAddress(t *testing.T) {
	at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte { return bindingSuccess(ask, from) })
	silentAt(t, addressAt("127.0.0.2", at.Port()))
	o := hasty()
	o.Count, o.lookup = 0, standingFor("127.0.0.2", "127.0.0.1")
	half := timingtest.NewManual().Now().Add(DefaultTimeout / 2)
	s := onManualClock(t, []Target{{STUN, "dual.test", at.Port(), UDP}}, o, func(c *timingtest.Manual, advanced int) bool {
		return waiting(c, advanced) && c.Now() < half // Then the second address answers.
	})
	if !s.OK || s.Address != at.String() || len(s.Problems) != 1 || s.Problems[0].Code != CodeAddress || s.Steps[1].TookNS != int64(DefaultTimeout/2) {
		t.Errorf("%+v\n%+v", s, problems(s))
	}
}

// TestNoAddressAnswers holds that all addresses together keep to the step's timeout, and that a lone problem tells of each.
func TestNoAddressAnswers(t *testing.T) {
	at := fakeUDP(t, func(*net.UDPConn, netip.AddrPort, *stun.Message) []byte { return nil })
	silentAt(t, addressAt("127.0.0.3", at.Port()))
	o := hasty()
	o.lookup = standingFor("127.0.0.1", "127.0.0.2", "127.0.0.3")
	s := onManualClock(t, []Target{{STUN, "three.test", at.Port(), UDP}}, o, waiting)
	fails(t, s, stepBinding, CodeNoAnswer)
	if len(s.Problems) != 1 || !strings.HasPrefix(s.Problems[0].What, "none of its 3 addresses works: 127.0.0.1:") || s.Steps[1].TookNS != int64(DefaultTimeout) {
		t.Errorf("%+v\n%+v", s.Steps, problems(s))
	}
}

func TestAddressShares(t *testing.T) {
	second := timing.Instant(time.Second)
	var a addresses
	for _, address := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		a.untried = append(a.untried, addressAt(address, 3478))
	}
	for i, c := range []struct {
		now  timing.Instant
		want time.Duration
	}{{0, 2 * time.Second}, {0, 3 * time.Second}, {4 * second, 2 * time.Second}} {
		if at, share, ok := a.next(c.now, 6*second); !ok || share != c.want {
			t.Errorf("%d: %v for %v, want %v", i, at, share, c.want)
		}
	}
	if _, _, ok := a.next(0, second); ok {
		t.Error("a fourth of three")
	}
}

// TestWorstAddress holds that an address where something may yet be stands for those where nothing is.
func TestWorstAddress(t *testing.T) {
	absent, silent := fatal(stepBinding, CodeRefused, "absent", "r"), fatal(stepBinding, CodeNoAnswer, "silent", "r")
	for want, failed := range map[string][]*Problem{
		"absent": {absent}, "none of its 2 addresses works: 192.0.2.1:1: absent; 192.0.2.1:1: absent": {absent, absent},
		"none of its 2 addresses works: 192.0.2.1:1: silent; 192.0.2.1:1: absent": {silent, absent},
	} {
		var a addresses
		for _, p := range failed {
			a.fail(addressAt("192.0.2.1", 1), p)
		}
		if got := a.problem(); got.What != want || got.Code != failed[0].Code {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
