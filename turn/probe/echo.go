package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	"github.com/pion/stun/v4"
)

// echoChannel is the first channel number (RFC 8656 section 12).
const echoChannel = 0x4000

// Sizes of an echo's payload: a mark of its own and a number.
const (
	markBytes = 8
	echoBytes = markBytes + 4
)

// What an echo goes through.
const (
	peerAllocation = "second allocation"
	peerOwnSocket  = "own socket"
)

// echo has packets go through the relay to a peer of ours and back. The first choice of peer is a second allocation,
// whose address the relay can always reach; where the server does not allow that, a socket of this machine.
func (v *visit) echo(ctx context.Context, c *client) {
	if v.o.Count == 0 {
		return
	}
	v.step(stepEcho, func() (string, int, *Problem) {
		var failed []*Problem
		sent := 0
		for _, try := range []func(context.Context, *client) (*Series, int, *Problem){v.echoOffAllocation, v.echoOffSocket} {
			series, requests, problem := try(ctx, c)
			sent += requests
			if !problem.stops() || problem.Code == CodeInterrupted || problem.Code == CodeLossLimit {
				return v.echoed(series), sent, problem
			}
			failed = append(failed, problem)
		}
		v.report.Allocation.Peer = ""
		return "", sent, judgeEcho(failed)
	})
}

// judgeEcho says what it means that no peer could be reached. It is pure.
func judgeEcho(failed []*Problem) *Problem {
	var why []string
	for _, p := range failed {
		switch p.Code {
		case CodePeerDenied, CodeQuota, CodeCapacity, CodeForbidden:
			why = append(why, p.What)
		default:
			return p
		}
	}
	return remark(stepEcho, CodePeerDenied,
		"the server's policy lets it relay neither to its own relayed addresses nor to this machine ("+strings.Join(why, "; ")+")",
		"nothing is wrong if that is meant; probe from a machine that the policy admits to see the relay at work")
}

func (v *visit) echoed(s *Series) string {
	if s == nil || s.Sent == 0 {
		return ""
	}
	v.report.Series = append(v.report.Series, s)
	return "through the relay and back by way of a " + v.report.Allocation.Peer
}

// permit has the relay admit a peer and give it a channel.
func (c *client) permit(ctx context.Context, peer netip.AddrPort) (requests int, problem *Problem) {
	number := binary.BigEndian.AppendUint32(nil, echoChannel<<16)
	_, requests, problem = c.request(ctx, stepEcho, stun.MethodCreatePermission, peerAddress(peer))
	if !problem.stops() {
		var more int
		c.link.channels.Store(true)
		_, more, problem = c.request(ctx, stepEcho, stun.MethodChannelBind, raw(stun.AttrChannelNumber, number...), peerAddress(peer))
		requests += more
	}
	if !problem.stops() {
		return requests, nil // A remark was made at the allocation.
	}
	if problem.Code == CodeForbidden || problem.Code == CodeUnsupported || problem.Code == CodeErrorAnswer {
		problem.Code = CodePeerDenied
		problem.What += " for the peer " + peer.String()
	}
	return requests, problem
}

// echoOffAllocation makes a second allocation and has it send back what the first sends to it.
func (v *visit) echoOffAllocation(ctx context.Context, c *client) (*Series, int, *Problem) {
	l, problem := v.secondLink(ctx)
	if problem != nil {
		return nil, 0, problem
	}
	defer l.close()
	peer := v.client(l, v.newLogin())
	_, requests, problem := peer.allocate(ctx, stepEcho)
	if !peer.relayed.IsValid() {
		return nil, requests, problem
	}
	defer peer.release(ctx)
	for _, side := range []struct {
		of *client
		to netip.AddrPort
	}{{c, peer.relayed}, {peer, c.relayed}} {
		more, problem := side.of.permit(ctx, side.to)
		if requests += more; problem != nil {
			return nil, requests, problem
		}
	}
	v.report.Allocation.Peer = peerAllocation
	series, problem := v.echoSeries(ctx, c, l, func(p packet) {
		if payload := relayed(p.data, echoChannel); payload != nil {
			_ = l.write(channelData(echoChannel, payload, l.stream())) // A lost packet is counted.
		}
	})
	return series, requests, problem
}

// secondLink dials the server once more, within the timeout.
func (v *visit) secondLink(ctx context.Context) (*link, *Problem) {
	ctx, end := limited(ctx, v.o.Clock, v.o.Timeout)
	defer end()
	l, _, err := v.dial(ctx, v.target, v.at)
	if err != nil {
		return nil, v.connectFailed(ctx, stepEcho, err, v.o.Timeout)
	}
	return l, nil
}

// echoOffSocket has a socket of this machine send back what the relay sends to it. The socket first asks how the server
// sees it and then opens what stands between for the relay.
func (v *visit) echoOffSocket(ctx context.Context, c *client) (*Series, int, *Problem) {
	from := v.link.local.Addr()
	if from.Is4() != c.relayed.Addr().Is4() {
		var problem *Problem
		if from, problem = towards(c.relayed); problem != nil {
			return nil, 0, problem
		}
	}
	l, err := v.listen(from)
	if err != nil {
		return nil, 0, fatal(stepEcho, CodeConnect, err.Error(), "see the limits on open files")
	}
	defer l.close()
	at := l.local
	if v.target.Transport == UDP && from == v.link.local.Addr() {
		x := v.exchanger(stepEcho, l)
		x.to, x.from = v.at, v.at
		if got, problem := x.exchange(ctx, bindingRequest()); problem == nil && mapped(got.m).IsValid() {
			at = mapped(got.m)
		}
	}
	_ = l.writeTo([]byte{0}, c.relayed) // It need not arrive.
	requests, problem := c.permit(ctx, at)
	if problem != nil {
		return nil, requests, problem
	}
	v.report.Allocation.Peer = peerOwnSocket
	series, problem := v.echoSeries(ctx, c, l, func(p packet) {
		if p.from == c.relayed {
			_ = l.writeTo(p.data, p.from) // A lost packet is counted.
		}
	})
	if problem != nil && problem.Code == CodeNoEcho && !public(at.Addr()) {
		problem = fatal(stepEcho, CodePeerDenied, "packets for the peer "+at.String()+" are dropped, as servers do with loopback and private addresses", problem.Remedy)
	}
	return series, requests, problem
}

// towards is the address of this machine from which another is reached. No packet leaves for that.
func towards(at netip.AddrPort) (netip.Addr, *Problem) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return netip.Addr{}, fatal(stepEcho, CodeConnect, "this machine cannot reach the relay address: "+err.Error(), "probe from a machine with a route to "+at.String())
	}
	defer conn.Close()
	return addressOf(conn.LocalAddr()).Addr(), nil
}

func public(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsPrivate() }

// echoSeries sends numbered packets to the peer and takes those that come back.
func (v *visit) echoSeries(ctx context.Context, c *client, peer *link, bounce func(packet)) (*Series, *Problem) {
	mark := make([]byte, markBytes)
	_, _ = rand.Read(mark) // Never fails (crypto/rand).
	q := &sequence{visit: v, step: stepEcho, peer: peer, bounce: bounce,
		build: func(i int) []byte {
			return channelData(echoChannel, binary.BigEndian.AppendUint32(bytes.Clone(mark), uint32(i)), c.link.stream())
		},
		match: func(p packet) (int, bool) {
			payload := relayed(p.data, echoChannel)
			if len(payload) != echoBytes || !bytes.HasPrefix(payload, mark) {
				return 0, false
			}
			return int(binary.BigEndian.Uint32(payload[markBytes:])), true
		},
	}
	series, problem := q.run(ctx, "relay")
	if problem != nil && problem.Code == CodeLoss && problem.Fatal {
		problem = fatal(stepEcho, CodeNoEcho, "the server agreed to relay, and nothing came through",
			"see that its relay address is its own, that its relay ports are open in the firewall, and that it may reach itself")
	}
	return series, problem
}
