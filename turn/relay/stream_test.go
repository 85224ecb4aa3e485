//go:build linux

package relay_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/turn/relay"
)

// midStream has a client and peers send without a pause while a test changes something step by step. Every packet is
// labelled with the step that had been done when it was sent, and what arrives is held against a rule.
type midStream struct {
	*setting
	peers   []*net.UDPConn
	step    atomic.Uint32
	channel func(step uint32) uint16 // that the client sends on
	// rule judges a packet of a label that a peer got from an address. It is called by one goroutine for each peer.
	rule    func(label uint32, peer int, from netip.AddrPort) bool
	target  atomic.Pointer[netip.AddrPort] // the relay that peers send to
	arrived atomic.Uint32                  // the highest label that arrived at a peer
	returns atomic.Uint64                  // packets that arrived at the client
	running sync.WaitGroup
	over    chan struct{}
}

func newMidStream(t *testing.T, p *relay.Plane, peers int) *midStream {
	t.Helper()
	m := &midStream{setting: newSetting(t, p), over: make(chan struct{})}
	for range peers {
		m.peers = append(m.peers, socket(t))
	}
	m.aim(m.relay)
	m.channel = func(uint32) uint16 { return 0x4001 }
	return m
}

func (m *midStream) aim(r *relay.Relay) { at := addr(r); m.target.Store(&at) }

// flow binds a channel of a relay to a peer.
func (m *midStream) flow(r *relay.Relay, peer int, channel uint16) {
	at := addr(m.peers[peer])
	r.SetFlow(relay.Flow{Peer: at, Announced: at, Channel: channel})
}

// start begins to send; stop ends it. What is sent into a full socket is lost.
func (m *midStream) start() {
	m.running.Go(func() {
		m.send(func(label uint32) {
			data := string(binary.BigEndian.AppendUint32(nil, label))
			_, _ = m.client.WriteToUDPAddrPort(channelData(m.channel(label), data), addr(m.listener))
		})
	})
	for i, peer := range m.peers {
		m.running.Go(func() {
			m.send(func(label uint32) {
				_, _ = peer.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, label), *m.target.Load())
			})
		})
		m.running.Go(func() { m.judge(i) })
	}
	m.running.Go(m.countReturns)
	m.running.Go(func() { drain(m.listener) })
}

func (m *midStream) stop() {
	close(m.over)
	for _, c := range append(m.peers, m.client) {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	_ = m.listener.Close()
	m.running.Wait()
}

// send sends until stop, a few at a time, so that some leave together.
func (m *midStream) send(one func(label uint32)) {
	for {
		select {
		case <-m.over:
			return
		default:
		}
		for range 4 {
			one(m.step.Load())
		}
		runtime.Gosched()
	}
}

func (m *midStream) judge(peer int) {
	buffer := make([]byte, 100)
	for {
		n, from, err := m.peers[peer].ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		label := binary.BigEndian.Uint32(buffer)
		if n != 4 || !m.rule(label, peer, from) {
			m.t.Errorf("peer %d got %x from %v at step %d", peer, buffer[:n], from, m.step.Load())
		}
		for before := m.arrived.Load(); label > before && !m.arrived.CompareAndSwap(before, label); before = m.arrived.Load() {
		}
	}
}

func (m *midStream) countReturns() {
	buffer := make([]byte, 100)
	for {
		n, from, err := m.client.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if n != 8 && buffer[0] != 0 || from != addr(m.listener) { // A permission's packets come as Data indications.
			m.t.Errorf("the client got %x from %v", buffer[:n], from)
		}
		m.returns.Add(1)
	}
}

func drain(c net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		if _, _, err := c.ReadFrom(buffer); err != nil {
			return
		}
	}
}

// next tells the senders that a step is done.
func (m *midStream) next() { m.step.Add(1) }

// passes waits until a packet of this step has arrived at a peer, and one at the client.
func (m *midStream) passes() {
	m.t.Helper()
	step, returned := m.step.Load(), m.returns.Load()
	eventually(m.t, "a packet of the step passes", func() bool { return m.arrived.Load() == step })
	eventually(m.t, "a packet comes back", func() bool { return m.returns.Load() > returned })
}

// handled waits until the loop has seen many more packets.
func (m *midStream) handled(p *relay.Plane) {
	m.t.Helper()
	seen := p.Counters().Packets
	eventually(m.t, "packets are seen", func() bool { return p.Counters().Packets > seen+50 })
}

// TestExpiryInMidStream binds a channel and has it end, in every way that one can: nothing passes that was sent after.
func TestExpiryInMidStream(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		m := newMidStream(t, p, 1)
		m.attach()
		m.channel = func(step uint32) uint16 { return uint16(0x4000 + step&^1) } // Of the step before, where it has ended.
		m.rule = func(label uint32, _ int, _ netip.AddrPort) bool { return label%2 == 0 }
		m.flow(m.relay, 0, 0x4000)
		m.start()
		defer m.stop()
		peer := addr(m.peers[0])
		for i := range 60 {
			m.passes()
			switch i % 3 {
			case 0:
				m.relay.RemoveFlow(peer)
			case 1:
				m.relay.RemoveFlows()
			case 2:
				m.flow(m.relay, 0, 0) // A permission, which then ends.
				m.relay.RemoveFlow(peer)
			}
			m.next()
			m.handled(p)
			m.flow(m.relay, 0, m.channel(m.step.Load()+1))
			m.next()
		}
	})
}

// TestRebindInMidStream has one channel number lead to one peer after the other: a packet that was sent after a step
// goes to the peer of that step, or to the next where it was handled later.
func TestRebindInMidStream(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		const peers = 4
		m := newMidStream(t, p, peers)
		m.attach()
		m.rule = func(label uint32, peer int, _ netip.AddrPort) bool {
			return peer == int(label%peers) || peer == int((label+1)%peers)
		}
		m.flow(m.relay, 0, 0x4001)
		m.start()
		defer m.stop()
		for range 100 {
			m.passes()
			at := int(m.step.Load() % peers)
			m.relay.RemoveFlow(addr(m.peers[at]))
			m.flow(m.relay, (at+1)%peers, 0x4001)
			m.next()
		}
	})
}

// TestDeletionInMidStream has a client allocate again and again by the same address, and ends the relay before, in the
// middle of its packets. Other sockets take the freed descriptors at once: no packet leaves by one of those, and none
// that was sent after a step leaves by an older relay.
func TestDeletionInMidStream(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		m := newMidStream(t, p, 1)
		var relays sync.Map // by address, the step of each
		relays.Store(addr(m.relay), uint32(0))
		m.rule = func(label uint32, _ int, from netip.AddrPort) bool {
			step, ours := relays.Load(from)
			return ours && (step.(uint32) == label || step.(uint32) == label+1)
		}
		m.attach()
		m.flow(m.relay, 0, 0x4001)
		m.start()
		defer m.stop()
		for range 40 {
			m.passes()
			old := m.relay
			m.open()
			relays.Store(addr(m.relay), m.step.Load()+1)
			m.attach()
			m.flow(m.relay, 0, 0x4001)
			m.aim(m.relay)
			m.next()
			if err := old.Close(); err != nil {
				t.Error(err)
			}
			<-old.Ended()
			for range 3 {
				socket(t) // Has the descriptor, and an address that the rule does not know.
			}
		}
		m.passes()
	})
}

// TestDeletionOfTheLast is the same without a next allocation: when a relay has ended nothing passes.
func TestDeletionOfTheLast(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		for range 10 {
			m := newMidStream(t, p, 1)
			own := addr(m.relay)
			m.rule = func(label uint32, _ int, from netip.AddrPort) bool { return label == 0 && from == own }
			m.attach()
			m.flow(m.relay, 0, 0x4001)
			m.start()
			m.passes()
			if err := m.relay.Close(); err != nil {
				t.Error(err)
			}
			m.next() // Commanded before anything that is sent from here on.
			<-m.relay.Ended()
			socket(t)
			m.handled(p)
			m.stop()
		}
	})
}
