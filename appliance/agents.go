package appliance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"tourbillon/appliance/config"
	"tourbillon/signaling"
	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// agents are the appliance as a peer: one socket and its wire, and whoever has called. nil where agents are off.
type agents struct {
	wire     *timing.Wire
	socket   *link.Socket
	answerer *agent.Answerer
	// addresses are where peers, and our own relay, reach the socket.
	addresses []netip.AddrPort
}

// openAgents binds the agents' socket. It comes before the relay, which lets its peers reach that very port.
func (a *appliance) openAgents() error {
	if !a.config.Agents.On() {
		return nil
	}
	conn, err := listenAgents(a.config.Agents.Listen)
	if err != nil {
		return err
	}
	streams, err := listenStreams(a.config.Agents.TCP)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	g := &agents{addresses: a.announced(conn.LocalAddr().(*net.UDPAddr).AddrPort())}
	mode := timing.WireAuto
	if a.clock.Name != "hrtimer" {
		mode = timing.WireClock
	}
	g.wire = timing.NewWire(a.clock.Clock, timing.WireConfig{Mode: mode})
	g.socket, err = link.Open(link.Config{
		Conn: link.UDP(conn), Listener: streams, Clock: a.meter.Clock("agent.pacing", a.clock), Consent: a.meter.Clock("agent.consent", a.clock),
		Wire: g.wire, Admit: link.Admit(loopbackPrefixes(g.addresses)...), Announce: g.addresses, Pacing: agentPacing(a.config.Agents),
	})
	if err != nil {
		if streams != nil {
			err = errors.Join(err, streams.Close())
		}
		return errors.Join(fmt.Errorf("open the agents' socket: %w", err), conn.Close(), g.wire.Close())
	}
	g.answerer = agent.NewAnswerer(agent.AnswererConfig{
		Socket: g.socket, Clock: a.meter.Clock("agent.session", a.clock), Limits: agentLimits(a.config.Agents, a.config.LimitsOff()), Log: a.log,
	})
	a.agents = g
	a.onClose(func(context.Context) error {
		g.answerer.Close()
		return errors.Join(g.socket.Close(), g.wire.Close())
	})
	return nil
}

// listenStreams binds the TCP listener; nil, and not a nil pointer in an interface, where there is to be none.
func listenStreams(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &config.Error{Problems: []config.Problem{{
			Where: "agents.tcp", Wrong: err.Error(), Remedy: "choose a TCP address of this machine whose port is free, or leave it empty",
		}}}
	}
	return listener, nil
}

func agentPacing(c config.Agents) pacing.Config {
	return pacing.Config{Ta: c.CheckInterval, Ceiling: c.ChecksPerSecond}
}

// agentLimits are those of the configuration. Without limits, for benchmarks, there may be as many calls and messages as
// come.
func agentLimits(c config.Agents, off bool) agent.Limits {
	l := agent.Limits{
		Total: c.Calls, PerAddress: c.CallsPerAddress, Lifetime: c.Lifetime, Idle: c.Idle, Bytes: int64(c.Bytes),
		MessagesPerSecond: c.MessagesPerSecond,
	}
	if off {
		l.Total, l.PerAddress, l.Bytes, l.MessagesPerSecond = math.MaxInt32, math.MaxInt32, math.MaxInt64, math.MaxInt32
	}
	return l
}

func listenAgents(address string) (*net.UDPConn, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	var conn *net.UDPConn
	if err == nil {
		conn, err = net.ListenUDP("udp", at)
	}
	if err != nil {
		return nil, &config.Error{Problems: []config.Problem{{
			Where: "agents.listen", Wrong: err.Error(), Remedy: "choose a UDP address of this machine whose port is free, or leave it empty to have no agents",
		}}}
	}
	return conn, nil
}

// announced are the agents' host candidates: agents.announce where it is set, the address they are bound to, or that of
// the relay, which peers can reach.
func (a *appliance) announced(bound netip.AddrPort) (all []netip.AddrPort) {
	for _, text := range a.config.Agents.Announce {
		if address, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.AddrPortFrom(address, bound.Port()))
		}
	}
	relay, err := netip.ParseAddr(a.config.TURN.RelayAddress)
	switch {
	case len(all) > 0:
		return all
	case bound.Addr().IsUnspecified() && err == nil:
		return []netip.AddrPort{netip.AddrPortFrom(relay, bound.Port())}
	}
	return []netip.AddrPort{netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())}
}

// loopbackPrefixes lets agents send to loopback where all their addresses are on it: then nobody else reaches them.
func loopbackPrefixes(addresses []netip.AddrPort) []netip.Prefix {
	for _, a := range addresses {
		if !a.Addr().IsLoopback() {
			return nil
		}
	}
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// muxPorts is what relays may reach of the agents.
func (a *appliance) muxPorts() []netip.AddrPort {
	if a.agents == nil {
		return nil
	}
	return a.agents.addresses
}

// localPeer is what signaling calls: nil, and not a nil pointer in an interface, where there are no agents.
func (a *appliance) localPeer() signaling.LocalPeer {
	if a.agents == nil {
		return nil
	}
	return callee{a}
}

// callee hands the calls of clients to the answerer.
type callee struct{ a *appliance }

func (c callee) Receive(m signaling.LocalMessage) error {
	from := agent.Caller{Room: m.Room, Peer: m.Peer, Address: m.Address, Stay: m.Stay}
	switch m.Kind {
	case "offer":
		return c.a.agents.answerer.Offer(from, m.SDP, caller{server: c.a.signaling, room: m.Room, peer: m.Peer})
	case "candidate":
		candidate, err := agent.CandidateOf(m.Candidate)
		if err != nil {
			return err
		}
		return c.a.agents.answerer.Candidate(from, candidate)
	}
	return &agent.CallError{
		Kind: agent.ErrBadOffer, Wrong: fmt.Sprintf("%q is nothing for an agent", m.Kind), Remedy: "send it offers and candidates",
	}
}

func (c callee) Gone(room, peer string, stay uint64) {
	c.a.agents.answerer.Leave(agent.Caller{Room: room, Peer: peer, Stay: stay})
}

// caller takes an agent's words to its client.
type caller struct {
	server     *signaling.Server
	room, peer string
}

func (c caller) Answer(sdp string) {
	c.server.Deliver(c.room, c.peer, signaling.LocalReply{Kind: "answer", SDP: sdp})
}

func (c caller) Restart(reason string) {
	c.server.Deliver(c.room, c.peer, signaling.LocalReply{Kind: "restart", Reason: reason})
}

func (c caller) Refuse(why *agent.CallError)  { c.complain(signaling.CodeCallRefused, why) }
func (c caller) Ended(why *agent.CallError)   { c.complain(signaling.CodeCallEnded, why) }
func (c caller) Dropped(why *agent.CallError) { c.complain(signaling.CodeRateLimited, why) }

func (c caller) complain(code signaling.Code, why *agent.CallError) {
	c.server.Deliver(c.room, c.peer, signaling.LocalReply{Kind: "error", Code: code, Err: why})
}
