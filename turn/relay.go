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
	core           *core
	announce, bind netip.Addr
	first          uint16
	ports          int
	policy         *Policy

	mu     sync.RWMutex // guards what follows
	live   map[uint16]*relayConn
	closed bool
}

var _ pion.RelayAddressGenerator = (*relays)(nil)

func newRelays(c *core, cfg Config, policy *Policy) *relays {
	return &relays{
		core: c, announce: cfg.RelayAddress, bind: cfg.RelayBind,
		first: cfg.PortMin, ports: int(cfg.PortMax) - int(cfg.PortMin) + 1,
		policy: policy, live: make(map[uint16]*relayConn),
	}
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
	if conf.Network != relayNetwork(r.bind) {
		return nil, nil, errRelayFamily
	}
	if conf.UserID == "" {
		return evenPortProbe{}, &net.UDPAddr{Port: evenPortSign}, nil
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
		conn, err := r.open(conf.Network, port, r.listener)
		if err == nil {
			return conn, net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.announce, port)), nil
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

func relayNetwork(addr netip.Addr) string {
	if addr.Is4() {
		return "udp4"
	}
	return "udp6"
}

// randomPort is unpredictable, so that a stranger cannot aim at a relay that is yet to come.
func (r *relays) randomPort() (uint16, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(r.ports)))
	if err != nil {
		return 0, fmt.Errorf("draw a relay port: %w", err)
	}
	return r.first + uint16(n.Int64()), nil
}

// open binds one port. The socket is opened outside the lock and entered in the live set before anybody knows of it.
func (r *relays) open(network string, port uint16, at *relay.Listener) (*relayConn, error) {
	socket, err := r.bindRelay(network, netip.AddrPortFrom(r.bind, port), at)
	if err != nil {
		return nil, fmt.Errorf("bind relay port %d: %w", port, err)
	}
	conn := newRelayConn(r, socket, port)
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.live[port] = conn
		r.announceLive(port, true)
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
func (r *relays) bindRelay(network string, at netip.AddrPort, l *relay.Listener) (net.PacketConn, error) {
	if l == nil {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	}
	return l.OpenRelay(at)
}

// announceLive tells the data plane. The caller holds r.mu.
func (r *relays) announceLive(port uint16, live bool) {
	if r.core.plane != nil {
		r.core.plane.Live(0, port, live)
	}
}

// isLive tells whether an address and port is the relay of a live allocation.
func (r *relays) isLive(peer netip.AddrPort) bool {
	if peer.Addr() != r.announce {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.live[peer.Port()]
	return ok
}

// socket returns the live relay socket of an announced address, nil where there is none.
func (r *relays) socket(relay netip.AddrPort) *relayConn {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.live[relay.Port()]
}

func (r *relays) forget(c *relayConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[c.port] == c {
		delete(r.live, c.port)
		r.announceLive(c.port, false)
	}
}

// close ends every relay and refuses new ones. pion deletes an allocation when its socket ends.
func (r *relays) close() {
	r.mu.Lock()
	r.closed = true
	open := make([]*relayConn, 0, len(r.live))
	for _, c := range r.live {
		open = append(open, c)
	}
	r.mu.Unlock()
	for _, c := range open {
		c.abort()
	}
}

// inward and outward translate between the announced and the bound address of a relay of ours (1:1 NAT), since many
// networks do not send a packet for their own outside address back in. Other addresses pass as they are.
func (r *relays) inward(peer netip.AddrPort) netip.AddrPort {
	if peer.Addr() == r.announce && !r.bind.IsUnspecified() {
		return netip.AddrPortFrom(r.bind, peer.Port())
	}
	return peer
}

func (r *relays) outward(peer netip.AddrPort) netip.AddrPort {
	announced := netip.AddrPortFrom(r.announce, peer.Port())
	if r.bind != r.announce && peer.Addr() == r.bind && r.isLive(announced) {
		return announced
	}
	return peer
}
