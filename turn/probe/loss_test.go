package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// lossyRelay is a TURN server for anybody that sends the first few ChannelData messages back and drops the others.
func lossyRelay(t *testing.T, good int) netip.AddrPort {
	t.Helper()
	return fakePackets(t, net.IPv4(127, 0, 0, 1), func(conn *net.UDPConn, from netip.AddrPort, b []byte) []byte {
		ask := stun.New()
		switch {
		case b[0]>>6 == 1 && good > 0:
			good--
			return b
		case stun.Decode(b, ask) != nil:
			return nil
		case ask.Type.Method == stun.MethodBinding:
			return bindingSuccess(ask, from)
		}
		m := stun.MustBuild(ask, stun.NewType(ask.Type.Method, stun.ClassSuccessResponse), raw(stun.AttrLifetime, 0, 0, 2, 88))
		at := addressOf(conn.LocalAddr())
		relayed := stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())}
		if err := relayed.AddToAs(m, stun.AttrXORRelayedAddress); err != nil {
			return nil
		}
		return m.Raw
	})
}

// TestLossyRelay holds that a relay which loses too much fails with what it lost, and is not tried by way of another peer.
func TestLossyRelay(t *testing.T) {
	lossy := func(s Server) bool { return len(s.Series) == 2 && s.Series[1].LossPercent == 50 }
	s := patiently(t, func(timeout time.Duration) Server {
		o := hasty()
		o.Count, o.Timeout, o.Interval = 10, timeout, MinInterval
		return only(t, []Target{target(TURN, lossyRelay(t, 5), UDP)}, o)
	}, lossy)
	if s.State != StateFailed || !lossy(s) || s.Allocation.Peer != peerAllocation || s.Steps[3].Status != StatusFailed {
		t.Fatalf("%+v\n%+v", s.Steps, problems(s))
	}
	fails(t, s, stepEcho, CodeLossLimit)
}
