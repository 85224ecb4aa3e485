package probe

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

// TestIPv4RelayOverIPv6 reaches a server over IPv6 that relays IPv4 alone, and one that relays nothing at all.
func TestIPv4RelayOverIPv6(t *testing.T) {
	for name, relays := range map[string]bool{"IPv4 alone": true, "nothing": false} {
		t.Run(name, func(t *testing.T) {
			at := fakeUDPOn(t, net.IPv6loopback, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
				success := stun.NewType(ask.Type.Method, stun.ClassSuccessResponse)
				switch {
				case ask.Type.Method == stun.MethodBinding:
					return bindingSuccess(ask, from)
				case ask.Type.Method == stun.MethodRefresh:
					return stun.MustBuild(ask, success, raw(stun.AttrLifetime, 0, 0, 0, 0)).Raw
				case !relays || ask.Contains(stun.AttrRequestedAddressFamily):
					return stun.MustBuild(ask, stun.NewType(ask.Type.Method, stun.ClassErrorResponse), stun.CodeAddrFamilyNotSupported).Raw
				}
				relayed := raw(stun.AttrXORRelayedAddress, 0, 1, 0x33, 0x10, 0x5e, 0x12, 0xa4, 0x43)
				return stun.MustBuild(ask, success, relayed, raw(stun.AttrLifetime, 0, 0, 2, 88)).Raw
			})
			o := hasty()
			o.Count, o.Timeout = 0, patience
			s := only(t, []Target{target(TURN, at, UDP)}, o)
			if !relays {
				fails(t, s, stepAllocate, CodeUnsupported)
				return
			}
			if !s.OK || s.Allocation == nil || s.Allocation.Relayed != "127.0.0.1:4610" || len(s.Problems) != 2 || s.Problems[0].Code != CodeFamily {
				t.Errorf("%+v\n%+v", s.Allocation, problems(s))
			}
		})
	}
}
