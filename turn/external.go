package turn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// externalInterval is how often the outside address is asked for anew.
	externalInterval = time.Minute
	// externalLimit is how long one STUN server has to answer: the request, and three that repeat it.
	externalLimit = 2 * time.Second
	// hairpinLimit is how long a packet to our own outside address may take to come back in.
	hairpinLimit = time.Second
)

// ErrNoExternal is why no outside address was found: no STUN server gave one.
var ErrNoExternal = errors.New("turn: no STUN server told an outside address")

// External is what a STUN server said of the outside address.
type External struct {
	// Address is what relays are announced at.
	Address netip.Addr
	// Server is the STUN server that told it, Checked when.
	Server  string
	Checked time.Time
	// Hairpin says whether the network brings a packet that we send to Address back to us. Relays of ours reach one
	// another without it; another program on this host that is given the address does not.
	Hairpin bool
	// Err is why the last check found nothing; the address found before is kept. Nil when it did.
	Err error
}

// external finds the outside address of a 1:1 NAT, where relays bind one address and are reached at another
// (RFC 8489 5, the Binding usage). One goroutine runs it.
type external struct {
	core    *core
	servers []string // host:port
	end     *relayEnd
	changed func() // tells the policy
	state   atomic.Pointer[External]
}

// run checks at once and then again and again until ctx ends.
func (e *external) run(ctx context.Context) {
	for {
		e.check(ctx)
		if !pause(e.core.clock, externalInterval, ctx.Done()) {
			return
		}
	}
}

// check asks the servers in turn until one answers, and announces what it says.
func (e *external) check(ctx context.Context) {
	defer e.core.survive("outside address")
	before := e.last()
	found, err := e.ask(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		found, found.Err = before, err
		if before.Err == nil {
			e.core.log.Warn("turn: the outside address is not known", "error", err, "announced", e.end.announced())
		}
		e.state.Store(&found)
		return
	}
	e.state.Store(&found)
	if found.Address != before.Address {
		e.end.announce.Store(&found.Address)
		e.changed()
		e.core.log.Info("turn: relays are announced at the outside address", "address", found.Address, "server", found.Server,
			"hairpin", found.Hairpin)
	}
}

func (e *external) last() External {
	if last := e.state.Load(); last != nil {
		return *last
	}
	return External{}
}

func (e *external) ask(ctx context.Context) (External, error) {
	problems := []error{ErrNoExternal}
	for _, server := range e.servers {
		found, err := e.askOne(ctx, server)
		if err == nil {
			return found, nil
		}
		problems = append(problems, fmt.Errorf("ask %s: %w", server, err))
	}
	return External{}, errors.Join(problems...)
}

func (e *external) askOne(ctx context.Context, server string) (External, error) {
	socket, err := net.ListenUDP(e.end.network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(e.end.bind, 0)))
	if err != nil {
		return External{}, err
	}
	defer socket.Close()
	at, err := resolve(ctx, server)
	if err != nil {
		return External{}, err
	}
	mapped, err := e.mapped(ctx, socket, at)
	if err != nil {
		return External{}, err
	}
	return External{
		Address: mapped.Addr(), Server: server, Checked: e.core.now(), Hairpin: e.hairpins(ctx, socket, mapped),
	}, nil
}

func resolve(ctx context.Context, server string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)), nil
}

// mapped is the address that a STUN server sees a socket at.
func (e *external) mapped(ctx context.Context, socket *net.UDPConn, server netip.AddrPort) (netip.AddrPort, error) {
	defer e.limit(ctx, socket, externalLimit)()
	raw, err := exchange(toward{socket, server}, e.core.clock)
	if err != nil {
		return netip.AddrPort{}, err
	}
	answer := stun.New()
	if err := stun.Decode(raw, answer); err != nil {
		return netip.AddrPort{}, err
	}
	var seen stun.XORMappedAddress
	if err := seen.GetFrom(answer); err != nil {
		return netip.AddrPort{}, err
	}
	mapped := netip.AddrPortFrom(unmapped(seen.IP), uint16(seen.Port))
	if addr := mapped.Addr(); !addr.Is4() || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("told %v, which is no address to announce", addr)
	}
	return mapped, nil
}

// limit wakes the reads of a socket for good when ctx ends or d has passed, until the returned function is called.
func (e *external) limit(ctx context.Context, socket *net.UDPConn, d time.Duration) (done func()) {
	wake := func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) }
	timer := e.core.clock.AfterFunc(d, wake)
	stop := context.AfterFunc(ctx, wake)
	return func() {
		timer.Stop()
		stop()
	}
}

// hairpins sends a packet from another socket to a socket's mapped address and waits for it.
func (e *external) hairpins(ctx context.Context, socket *net.UDPConn, mapped netip.AddrPort) bool {
	other, err := net.ListenUDP(e.end.network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(e.end.bind, 0)))
	if err != nil {
		return false
	}
	defer other.Close()
	ask, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return false
	}
	defer e.limit(ctx, socket, hairpinLimit)()
	if _, err := other.WriteToUDPAddrPort(ask.Raw, mapped); err != nil {
		return false
	}
	buffer := make([]byte, maxFrameBytes)
	for {
		n, _, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return false
		}
		if string(buffer[:n]) == string(ask.Raw) {
			return true
		}
	}
}

// toward is a socket that writes to one address and reads from it alone.
type toward struct {
	*net.UDPConn
	server netip.AddrPort
}

func (t toward) Write(p []byte) (int, error) { return t.WriteToUDPAddrPort(p, t.server) }

func (t toward) Read(p []byte) (int, error) {
	for {
		n, from, err := t.ReadFromUDPAddrPort(p)
		if err != nil || canonicalPort(from) == t.server {
			return n, err
		}
	}
}
