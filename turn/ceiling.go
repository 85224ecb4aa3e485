package turn

import (
	"sync/atomic"
	"time"

	"tourbillon/timing"
	"tourbillon/turn/relay"
)

// ceilingBurst is how much of a second's rate a ceiling lets through at once: a key frame of video, or the packets that
// waited while a client's link was down, are no flood.
const ceilingBurst = 250 * time.Millisecond

// ceiling holds a flow to a rate. It is a token bucket kept as one word, the instant at which the bucket is full again
// (the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371 A), so any number of goroutines share it
// with one compare-and-swap and no lock. The zero value limits nothing.
type ceiling struct {
	rate int64 // units per second; 0 limits nothing
	full atomic.Int64
}

// newCeiling returns a ceiling of perSecond units; [Unlimited] is none.
func newCeiling(perSecond int) ceiling { return ceiling{rate: max(0, int64(perSecond))} }

// admit takes n units at now, or none and reports false. It neither blocks nor allocates.
func (c *ceiling) admit(now timing.Instant, n int) bool {
	if c.rate == 0 {
		return true
	}
	cost := int64(n) * int64(time.Second) / c.rate
	for {
		full := c.full.Load()
		next, ok := takeAt(full, int64(now), cost, int64(ceilingBurst))
		if !ok {
			return false
		}
		if c.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

// giveBack returns n units that were taken and not used.
func (c *ceiling) giveBack(n int) {
	if c.rate != 0 {
		c.full.Add(-int64(n) * int64(time.Second) / c.rate)
	}
}

// takeAt is the token bucket as a function of its state and now, all in ns: full is when the bucket is full again, cost
// the time that the units take to grow back, burst the time in which an empty bucket fills. What costs more than a
// whole bucket passes when the bucket is full, so that no packet is refused for ever.
func takeAt(full, now, cost, burst int64) (next int64, ok bool) {
	start := max(full, now)
	if start > now && start+cost-now > burst {
		return full, false
	}
	return start + cost, true
}

// shareBytes is how much a flow draws at once from the ceiling of the whole server. A flow touches the word that all
// cores share once for so many bytes, and may hold on to as many that it does not use.
const shareBytes = 16 << 10

// whole is the ceiling of the whole server, which all that is relayed draws from.
type whole interface {
	admit(now timing.Instant, n int) bool
}

// planeCeiling is the ceiling that the loops of the data plane draw from.
type planeCeiling struct{ plane *relay.Plane }

func (p planeCeiling) admit(_ timing.Instant, n int) bool { return p.plane.Draw(n) }

// whole is nil for a server without a ceiling.
func (c *core) whole() whole {
	switch {
	case c.limits.ServerBytesPerSecond == Unlimited:
		return nil
	case c.plane != nil:
		return planeCeiling{c.plane}
	}
	return &c.bandwidth
}

// share is one flow's part of the ceiling of the whole server.
type share struct {
	whole whole
	drawn atomic.Int64 // bytes drawn and not used
}

// admit takes n bytes at now.
func (s *share) admit(now timing.Instant, n int) bool {
	if s.whole == nil || s.drawn.Add(int64(-n)) >= 0 {
		return true
	}
	lump := max(shareBytes, n)
	if !s.whole.admit(now, lump) {
		s.drawn.Add(int64(n))
		return false
	}
	s.drawn.Add(int64(lump))
	return true
}

// flow is one direction of one allocation with its ceilings: those of the data plane where a loop relays for it too, so
// that the packets which go past the loop count with its own; its own otherwise.
type flow struct {
	packets, bytes ceiling
	server         share

	relay     *relay.Relay // nil where no loop relays
	direction relay.Direction
}

func newFlow(l Limits, w whole) *flow {
	return &flow{
		packets: newCeiling(l.PacketsPerSecond), bytes: newCeiling(l.BytesPerSecond), server: share{whole: w},
	}
}

// flowOf is the flow of a relay's socket.
func (c *core) flowOf(r *relay.Relay, d relay.Direction) *flow {
	if r != nil {
		return &flow{relay: r, direction: d}
	}
	return newFlow(c.limits, c.whole())
}

// Reasons for dropping a packet that are not the policy's.
const (
	reasonPacketRate Reason = "packet-rate"
	reasonBandwidth  Reason = "bandwidth"
	reasonServer     Reason = "server-bandwidth"
)

// reasonSlowClient drops packets of peers for a client on TCP that does not read them.
const reasonSlowClient Reason = "slow-client"

// refusals are the reasons of the data plane's ceilings.
var refusals = map[relay.Refusal]Reason{
	relay.PacketRate: reasonPacketRate, relay.Bandwidth: reasonBandwidth, relay.Server: reasonServer,
}

// admit holds one packet of n payload bytes against every ceiling; reason says which refused it and is empty when none
// did. It neither blocks nor allocates and is safe for concurrent use: the data plane calls it for each packet.
func (f *flow) admit(now timing.Instant, n int) (reason Reason) {
	switch {
	case f.relay != nil:
		return refusals[f.relay.Admit(f.direction, n)]
	case !f.packets.admit(now, 1):
		return reasonPacketRate
	case !f.bytes.admit(now, n):
		f.packets.giveBack(1)
		return reasonBandwidth
	case !f.server.admit(now, n):
		f.packets.giveBack(1)
		f.bytes.giveBack(n)
		return reasonServer
	}
	return ""
}
