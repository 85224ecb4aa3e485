package turn

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"tourbillon/turn/relay"
)

// relayTries is how many random ports are tried before an Allocate is answered 508. With a range three quarters full
// all of them fail once in ten billion requests.
const relayTries = 80

var (
	errRelayPorts = errors.New("no free relay port found")
	errClosing    = errors.New("the server is closing")
)

// relays makes the relay sockets and knows which are live.
type relays struct {
	core  *core
	first uint16
	ports int
	// ends has one entry for each address family with a relay address. It does not change.
	ends []*relayEnd

	mu     sync.Mutex // guards closed, and orders a socket's entry against the close
	closed bool
}

func newRelays(c *core, cfg Config) *relays {
	r := &relays{core: c, first: cfg.PortMin, ports: int(cfg.PortMax) - int(cfg.PortMin) + 1}
	for i, a := range cfg.relayAddresses() {
		r.ends = append(r.ends, newRelayEnd(a, r.first, r.ports))
		r.ends[i].set = i
	}
	return r
}

// allocate makes an allocation's socket at a random port that suits, on a loop unless that is nil.
func (r *relays) allocate(end *relayEnd, suits func(port uint16) bool, at *relay.Loop) (*relayConn, error) {
	for range relayTries {
		port := r.randomPort()
		if !suits(port) {
			continue
		}
		conn, err := r.open(end, port, at)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) { // Another port will not help.
			return nil, err
		}
	}
	return nil, errRelayPorts
}

// anyPort suits who asks for no particular one.
func anyPort(uint16) bool { return true }

func evenPort(port uint16) bool { return port%2 == 0 }

// randomPort is unpredictable, so that a stranger cannot aim at a relay that is yet to come.
func (r *relays) randomPort() uint16 {
	const words = 1 << 32
	whole := words - words%uint64(r.ports) // What is drawn beyond would favour the low ports.
	for {
		var raw [4]byte
		_, _ = rand.Read(raw[:]) // It does not fail (crypto/rand).
		if n := uint64(binary.BigEndian.Uint32(raw[:])); n < whole {
			return r.first + uint16(n%uint64(r.ports))
		}
	}
}

// open binds one port. The socket is opened outside the lock and entered among the live before anybody knows of it.
func (r *relays) open(end *relayEnd, port uint16, at *relay.Loop) (*relayConn, error) {
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

// bindRelay binds a relay's socket, on a loop unless that is nil.
func bindRelay(network string, at netip.AddrPort, l *relay.Loop) (net.PacketConn, error) {
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

// mayBeLive tells whether an address and port is a relay of ours or may become one: who binds a channel to a relay may do so
// before the other side has it.
func (r *relays) mayBeLive(peer netip.AddrPort) bool {
	end := r.end(familyOfAddr(peer.Addr()))
	return end != nil && peer.Addr() == end.announced() && r.inRange(peer.Port())
}

func (r *relays) inRange(port uint16) bool { return port >= r.first && int(port-r.first) < r.ports }

// close refuses new relays.
func (r *relays) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
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
