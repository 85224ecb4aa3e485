package turn_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn"
)

// integrity checks that an answer carries MESSAGE-INTEGRITY under a credential's key.
func (c *rawClient) integrity(answer *stun.Message) error {
	return stun.NewLongTermIntegrity(c.username, turn.DefaultRealm, c.password).Check(answer)
}

// expectSigned wants an answer to have a code and to be signed (RFC 8489 9.2.4).
func (c *rawClient) expectSigned(what string, answer *stun.Message, want int) {
	c.t.Helper()
	if code := errorCode(c.t, answer); code != want {
		c.t.Errorf("%s: answered %d, want %d", what, code, want)
	}
	if err := c.integrity(answer); err != nil {
		c.t.Errorf("%s: the answer is not signed: %v", what, err)
	}
}

// TestErrorsAreTheRFCs asks for everything that is refused after authentication.
func TestErrorsAreTheRFCs(t *testing.T) {
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, Limits: turn.Limits{AllocationsPerUser: 2, Allocations: 3, ChannelsPerAllocation: 1},
	})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	peer := peerAddress(netip.MustParseAddrPort("127.0.0.1:60000")) // Of the relays' range.
	channel := func(low byte) stun.Setter { return attr(stun.AttrChannelNumber, 0x40, low, 0, 0) }
	lifetime := attr(stun.AttrLifetime, 0, 0, 2, 88)

	c.expectSigned("refresh of nothing", c.request(stun.MethodRefresh, lifetime), 437)
	c.expectSigned("permission for nothing", c.request(stun.MethodCreatePermission, peer), 437)
	c.expectSigned("channel of nothing", c.request(stun.MethodChannelBind, channel(0), peer), 437)
	c.expectSigned("connect from nothing", c.request(stun.MethodConnect, peer), 437)
	c.expectSigned("no transport", c.request(stun.MethodAllocate), 400)
	c.expectSigned("TCP relay", c.request(stun.MethodAllocate, attr(stun.AttrRequestedTransport, 6, 0, 0, 0)), 442)
	c.expectSigned("SCTP relay", c.request(stun.MethodAllocate, attr(stun.AttrRequestedTransport, 132, 0, 0, 0)), 442)
	c.expectSigned("IPv6 relay", c.allocate(attr(stun.AttrRequestedAddressFamily, 2, 0, 0, 0)), 440)
	c.expectSigned("odd family", c.allocate(attr(stun.AttrRequestedAddressFamily, 9, 0, 0, 0)), 440)
	c.expectSigned("reservation", c.allocate(attr(stun.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)), 508)
	c.expectSigned("short reservation", c.allocate(attr(stun.AttrReservationToken, 1, 2, 3, 4)), 400)
	c.expectSigned("short lifetime", c.allocate(attr(stun.AttrLifetime, 1, 2)), 400)
	c.expectSigned("PRIORITY", c.allocate(attr(stun.AttrPriority, 1, 2, 3, 4)), 420)
	c.expectSigned("PASSWORD-ALGORITHM", c.allocate(attr(stun.AttrPasswordAlgorithm, 0, 1, 0, 0)), 420)
	unknown := c.allocate(attr(stun.AttrDontFragment))
	c.expectSigned("DONT-FRAGMENT", unknown, 420)
	var attributes stun.UnknownAttributes
	if err := attributes.GetFrom(unknown); err != nil || !slices.Contains(attributes, stun.AttrDontFragment) {
		t.Errorf("unknown attributes %v, %v", attributes, err)
	}

	c.expectSigned("allocate", c.allocate(), 0)
	c.expectSigned("allocate again", c.allocate(), 437)
	denied := peerAddress(netip.MustParseAddrPort("10.0.0.5:5000"))
	c.expectSigned("channel to a denied peer", c.request(stun.MethodChannelBind, channel(0), denied), 403)
	c.expectSigned("permission for a denied peer", c.request(stun.MethodCreatePermission, denied), 403)
	c.expectSigned("permission, the second denied", c.request(stun.MethodCreatePermission, peer, denied), 403)
	v6 := peerAddress(netip.MustParseAddrPort("[2606:4700::1111]:5000"))
	c.expectSigned("permission, the second of IPv6", c.request(stun.MethodCreatePermission, peer, v6), 443)
	odd := attr(stun.AttrXORPeerAddress, 0, 9, 0, 0, 0, 0, 0, 0)
	c.expectSigned("permission, the second malformed", c.request(stun.MethodCreatePermission, peer, odd), 400)
	if shown := server.Allocations(); len(shown) != 1 || shown[0].Permissions != 0 {
		t.Errorf("a refused request left permissions: %+v", shown)
	}
	c.expectSigned("channel number", c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x10, 0, 0, 0), peer), 400)
	c.expectSigned("channel", c.request(stun.MethodChannelBind, channel(0), peer), 0)
	c.expectSigned("second channel", c.request(stun.MethodChannelBind, channel(1), peer), 508)
	c.expectSigned("connect", c.request(stun.MethodConnect, peer), 403)

	other := *c
	other.username, other.password = issued("mallory", time.Now())
	other.expectSigned("another user's refresh", other.request(stun.MethodRefresh, lifetime), 441)
	other.expectSigned("another user's permission", other.request(stun.MethodCreatePermission, peer), 441)
	later := *c // The same user with a later credential.
	later.username, later.password = issued("alice", time.Now().Add(time.Minute))
	later.expectSigned("refresh under a later credential", later.request(stun.MethodRefresh, lifetime), 0)

	second := newRawClient(t, server, username, password)
	second.expectSigned("second allocation", second.allocate(), 0)
	third := newRawClient(t, server, username, password)
	third.expectSigned("over the user's quota", third.allocate(), 486)
	bobs, bobsPassword := issued("bob", time.Now())
	bob := newRawClient(t, server, bobs, bobsPassword)
	bob.expectSigned("third allocation", bob.allocate(), 0)
	last := newRawClient(t, server, bobs, bobsPassword)
	last.expectSigned("over the server's quota", last.allocate(), 508)
	stats := server.Stats()
	if stats.QuotaRefusals["user-quota"] != 1 || stats.QuotaRefusals["total-quota"] != 1 || stats.Panics != 0 {
		t.Errorf("stats %+v", stats)
	}
	c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
	c.expectSigned("release again", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 437)
}

// TestACallMeetsNoLimit sets a meeting up at the default limits as fast as it can: the candidates of many peers, one by
// one and together, and a channel to each.
func TestACallMeetsNoLimit(t *testing.T) {
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, AllowPeers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	c.expectSigned("allocate", c.allocate(), 0)
	var together []stun.Setter
	for i := range 32 {
		peer := peerAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 5000))
		if i < 16 {
			c.expectSigned("permission", c.request(stun.MethodCreatePermission, peer), 0)
		} else {
			together = append(together, peer)
		}
	}
	c.expectSigned("permissions", c.request(stun.MethodCreatePermission, together...), 0)
	for i := range 32 {
		peer := peerAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}), 5000))
		c.expectSigned("channel", c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x40, byte(i), 0, 0), peer), 0)
	}
	if stats := server.Stats(); len(stats.DeniedPermissions) != 0 {
		t.Errorf("denied %v", stats.DeniedPermissions)
	}
}

// TestRefusedCredentialsAreChallenged expects 401 with realm and nonce and without integrity (RFC 8489 9.2.4), and that
// the nonce in it is good for the next try.
func TestRefusedCredentialsAreChallenged(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, "wrong")
	for _, answer := range []*stun.Message{c.allocate(), c.request(stun.MethodRefresh)} {
		var realm stun.Realm
		if errorCode(t, answer) != 401 || realm.GetFrom(answer) != nil || realm.String() != turn.DefaultRealm ||
			answer.Contains(stun.AttrMessageIntegrity) {
			t.Errorf("%v", answer)
		}
		if err := c.nonce.GetFrom(answer); err != nil {
			t.Errorf("no nonce: %v", err)
		}
	}
	c.password = password
	c.expectSigned("with the right password", c.allocate(), 0)
	stale := *c
	stale.nonce = stun.NewNonce("0123456789abcdef")
	if code := errorCode(t, stale.request(stun.MethodRefresh)); code != 438 {
		t.Errorf("a stale nonce is answered %d", code)
	}
}

// TestErrorsOverStreams holds the same rules against a TCP connection.
func TestErrorsOverStreams(t *testing.T) {
	server := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}})
	conn, err := net.Dial("tcp", addressOf(t, server, turn.TCP).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	username, password := issued("alice", time.Now())
	c := &rawClient{t: t, conn: conn, username: username, password: password}
	c.expectSigned("refresh of nothing", c.request(stun.MethodRefresh), 437)
	c.expectSigned("TCP relay", c.request(stun.MethodAllocate, attr(stun.AttrRequestedTransport, 6, 0, 0, 0)), 442)
	c.expectSigned("allocate", c.allocate(), 0)
	c.expectSigned("denied", c.request(stun.MethodCreatePermission, peerAddress(netip.MustParseAddrPort("10.0.0.5:5"))), 403)
	c.password = "wrong"
	if code := errorCode(t, c.request(stun.MethodRefresh)); code != 401 {
		t.Errorf("a wrong password is answered %d", code)
	}
}

// TestBothFamilies allocates at an IPv4 and an IPv6 address of one server, from one address of either family.
func TestBothFamilies(t *testing.T) {
	server := listen(t, turn.Config{
		UDP:          []string{"127.0.0.1:0", "[::1]:0"},
		RelayAddress: netip.MustParseAddr("127.0.0.1"), RelayAddress6: netip.MustParseAddr("::1"),
	})
	username, password := issued("alice", time.Now())
	for _, at := range server.Addresses() {
		for family, want := range map[byte]string{0: "127.0.0.1", 1: "127.0.0.1", 2: "::1"} {
			conn, err := net.Dial("udp", at.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &rawClient{t: t, conn: conn, username: username, password: password}
			var setters []stun.Setter
			if family != 0 {
				setters = append(setters, attr(stun.AttrRequestedAddressFamily, family, 0, 0, 0))
			}
			answer := c.allocate(setters...)
			c.expectSigned("allocate", answer, 0)
			var relay stun.XORMappedAddress
			if err := relay.GetFromAs(answer, stun.AttrXORRelayedAddress); err != nil || relay.IP.String() != want {
				t.Errorf("family %d at %v: relay %v, %v", family, at.Addr, relay, err)
			}
			if family == 2 { // RFC 8656 8: a Refresh must name the same family.
				mismatch := attr(stun.AttrRequestedAddressFamily, 1, 0, 0, 0)
				c.expectSigned("refresh of the other family", c.request(stun.MethodRefresh, mismatch), 443)
			}
		}
	}
}
