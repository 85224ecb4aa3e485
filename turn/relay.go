package turn

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"syscall"

	pion "github.com/pion/turn/v5"

	"tourbillon/turn/relay"
)

// relayTries is how many random ports are tried before an Allocate is answered 508. With a range three quarters full
// all of them fail once in ten billion requests.
const relayTries = 80

var (
	errNoTCPRelay    = errors.New("TCP relays (RFC 6062) are not offered")
	errNoReservation = errors.New("reserved ports are not offered")
	errRelayFamily   = errors.New("no relay address of that family")
	errRelayPorts    = errors.New("no free relay port found")
	errClosing       = errors.New("the server is closing")
)

// relays makes the relay sockets and knows which are live. It is pion's RelayAddressGenerator.
type relays struct {
	core  *core
	first uint16
	ports int
	// ends has one entry for each address family with a relay address. It does not change.
	ends []*relayEnd

	mu     sync.Mutex // guards closed, and orders a socket's entry against the close
	closed bool
}

var _ pion.RelayAddressGenerator = (*relays)(nil)

func newRelays(c *core, cfg Config) *relays {
	r := &relays{core: c, first: cfg.PortMin, ports: int(cfg.PortMax) - int(cfg.PortMin) + 1}
	for i, a := range cfg.relayAddresses() {
		r.ends = append(r.ends, newRelayEnd(a, r.first, r.ports))
		r.ends[i].set = i
	}
	return r
}

// Validate implements [pion.RelayAddressGenerator]; the configuration was validated by then.
func (r *relays) Validate() error { return nil }

// AllocatePacketConn makes an allocation's socket.
//
// For EVEN-PORT (RFC 8656 7.2) pion asks twice: without a user, up to 128 times and before the quota, until it is shown
// an even port, and then for that port. The first is answered without opening anything, and the second with any even
// port that is free. An odd port is asked for only with a RESERVATION-TOKEN, and nothing is ever reserved.
func (r *relays) AllocatePacketConn(conf pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	return relaysAt{relays: r}.AllocatePacketConn(conf)
}

// AllocatePacketConn makes an allocation's socket on the listener's loop; see [relays.AllocatePacketConn].
func (r relaysAt) AllocatePacketConn(conf pion.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	if conf.UserID == "" {
		return evenPortProbe{}, &net.UDPAddr{Port: evenPortSign}, nil
	}
	end := r.end(familyOfNetwork(conf.Network))
	if end == nil {
		return nil, nil, errRelayFamily
	}
	if conf.RequestedPort%2 != 0 {
		return nil, nil, errNoReservation
	}
	even := conf.RequestedPort != 0
	for range relayTries {
		port, err := r.randomPort()
		if err != nil {
			return nil, nil, err
		}
		if even && port%2 != 0 {
			continue
		}
		conn, err := r.open(end, port, r.listener)
		if err == nil {
			return conn, net.UDPAddrFromAddrPort(netip.AddrPortFrom(end.announced(), port)), nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) { // Another port will not help.
			return nil, nil, err
		}
	}
	return nil, nil, errRelayPorts
}

// evenPortSign stands for "any even port" between the two questions that pion asks.
const evenPortSign = 2

// evenPortProbe is the socket that pion opens and closes at once to learn an even port. Nothing but Close is called.
type evenPortProbe struct{ net.PacketConn }

// Close has nothing to close.
func (evenPortProbe) Close() error { return nil }

// AllocateListener refuses RFC 6062.
func (r *relays) AllocateListener(pion.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errNoTCPRelay
}

// AllocateConn refuses RFC 6062: pion would dial the peer, without a timeout, in the loop that serves every client.
func (r *relays) AllocateConn(pion.AllocateConnConfig) (net.Conn, error) { return nil, errNoTCPRelay }

// randomPort is unpredictable, so that a stranger cannot aim at a relay that is yet to come.
func (r *relays) randomPort() (uint16, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(r.ports)))
	if err != nil {
		return 0, fmt.Errorf("draw a relay port: %w", err)
	}
	return r.first + uint16(n.Int64()), nil
}

// open binds one port. The socket is opened outside the lock and entered among the live before anybody knows of it.
func (r *relays) open(end *relayEnd, port uint16, at *relay.Listener) (*relayConn, error) {
	socket, err := bindRelay(end.network, netip.AddrPortFrom(end.bind, port), at)
	if err != nil {
		return nil, fmt.Errorf("bind relay port %d: %w", port, err)
	}
	conn := newRelayConn(r, socket, end, port)
	r.mu.Lock()
	closed := r.closed
	if !closed {
		end.enter(conn)
		r.core.tasks.Add(1) // Until its read loop ends.
	}
	r.mu.Unlock()
	if closed {
		socket.Close()
		return nil, errClosing
	}
	return conn, nil
}

// bindRelay binds a relay's socket, on the listener's loop where it has one.
func bindRelay(network string, at netip.AddrPort, l *relay.Listener) (net.PacketConn, error) {
	if l == nil {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	}
	return l.OpenRelay(at)
}

// end returns what serves a family, nil where nothing does.
func (r *relays) end(family byte) *relayEnd {
	for _, e := range r.ends {
		if e.family == family {
			return e
		}
	}
	return nil
}

func (r *relays) serves(family byte) bool { return r.end(family) != nil }

// socket returns the live relay socket of an announced address, nil where there is none.
func (r *relays) socket(relay netip.AddrPort) *relayConn {
	if end := r.end(familyOfAddr(relay.Addr())); end != nil {
		return end.conn(relay.Port())
	}
	return nil
}

// isLive tells whether an address and port is the relay of a live allocation. It takes no lock.
func (r *relays) isLive(peer netip.AddrPort) bool {
	end := r.end(familyOfAddr(peer.Addr()))
	return end != nil && peer.Addr() == end.announced() && end.conn(peer.Port()) != nil
}

// close ends every relay and refuses new ones. pion deletes an allocation when its socket ends.
func (r *relays) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, end := range r.ends {
		for i := range end.live {
			if c := end.live[i].Load(); c != nil {
				c.abort()
			}
		}
	}
}

// inward and outward translate between the announced and the bound address of a relay of ours (1:1 NAT), since many
// networks do not send a packet for their own outside address back in. Other addresses pass as they are.
func (r *relays) inward(peer netip.AddrPort) netip.AddrPort {
	for _, end := range r.ends {
		if peer.Addr() == end.announced() && !end.bind.IsUnspecified() {
			return netip.AddrPortFrom(end.bind, peer.Port())
		}
	}
	return peer
}

func (r *relays) outward(peer netip.AddrPort) netip.AddrPort {
	for _, end := range r.ends {
		if peer.Addr() != end.bind {
			continue
		}
		if announced := end.announced(); announced != end.bind && end.conn(peer.Port()) != nil {
			return netip.AddrPortFrom(announced, peer.Port())
		}
	}
	return peer
}

// named is the announced address of a family, or the first where that has none.
func (r *relays) named(family byte) netip.Addr {
	if end := r.end(family); end != nil {
		return end.announced()
	}
	return r.ends[0].announced()
}

// addresses lists the announced addresses, that of IPv4 first.
func (r *relays) addresses() []netip.Addr {
	all := make([]netip.Addr, 0, len(r.ends))
	for _, end := range r.ends {
		all = append(all, end.announced())
	}
	return all
}
