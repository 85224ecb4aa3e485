package turn

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"tourbillon/turn/relay"
)

// streamReaderBytes is the buffer of a stream that carries ChannelData; one that does not makes do with less.
const streamReaderBytes = 32 << 10

// streamPath is one allocation's short way for a client on TLS, and on TCP where no loop serves it (stream_loop.go):
// ChannelData goes between stream and socket directly, over TCP many packets of the peers in one write. Over TLS each has
// a record of its own, since coturn's client takes what one SSL_read returns for one message. Every packet is judged and
// held to the ceilings as ever. The goroutine that reads the relay's socket owns it, but for numbers and channels, which
// fastPath guards.
type streamPath struct {
	client  *streamConn
	batches *relay.Batches
	frames  []byte     // of one write
	slow    []slowRead // for pump
}

type slowRead struct {
	from net.Addr
	data []byte
}

// attachStream gives the relay its client on a stream. It comes before the relay's socket is read.
func (c *relayConn) attachStream(client *streamConn) {
	if client == nil || client.listener.datagrams {
		return
	}
	c.stream.batches = relay.NewBatches(c.socket)
	if c.stream.batches != nil {
		c.stream.client = client
		c.fast.streaming = true
		client.relay.Store(c)
	}
}

// readStream is ReadFrom for a client on a stream: what has a channel goes to the client, the rest to pump.
func (c *relayConn) readStream(p []byte) (int, net.Addr, error) {
	retry := backoff{clock: c.relays.core.clock}
	for {
		if s := &c.stream; len(s.slow) > 0 {
			next := s.slow[0]
			if s.slow = s.slow[1:]; len(s.slow) == 0 {
				s.slow = nil
			}
			return copy(p, next.data), next.from, nil
		}
		err := c.stream.batches.Read(c.takeForStream)
		if err == nil {
			retry.reset()
			c.writeFrames()
			continue
		}
		if errors.Is(err, net.ErrClosed) || !c.relays.core.retry(&retry, c.ended.done) {
			return 0, nil, c.endRead()
		}
	}
}

// takeForStream adds a peer's packet to the next write, or keeps it for pump.
func (c *relayConn) takeForStream(from netip.AddrPort, data []byte) {
	peer := c.admitFrom(net.UDPAddrFromAddrPort(from), len(data))
	if peer == nil {
		return
	}
	s := &c.stream
	channel, bound := c.fast.channelOf(addrPort(peer))
	if !bound {
		s.slow = append(s.slow, slowRead{from: peer, data: append([]byte(nil), data...)})
		return
	}
	s.frames = binary.BigEndian.AppendUint16(s.frames, channel)
	s.frames = binary.BigEndian.AppendUint16(s.frames, uint16(len(data)))
	s.frames = append(s.frames, data...)
	for len(s.frames)%4 != 0 { // RFC 8656 12.5; every frame before is a multiple of four bytes.
		s.frames = append(s.frames, 0)
	}
	c.relays.core.counters.toClients.add(channelHeaderBytes + (len(data)+3)&^3)
}

// writeFrames sends what was gathered. A broken stream shows in its reading.
func (c *relayConn) writeFrames() {
	s := &c.stream
	for frames := s.frames; len(frames) > 0; {
		n := len(frames)
		if s.client.listener.secure != nil {
			n = channelHeaderBytes + (int(binary.BigEndian.Uint16(frames[2:]))+3)&^3
		}
		_, _ = s.client.Conn.Write(frames[:n])
		frames = frames[n:]
	}
	if s.frames = s.frames[:0]; cap(s.frames) > streamReaderBytes {
		s.frames = nil // A burst's memory is not kept.
	}
}

// relayFrame relays a ChannelData frame of a stream to its peer. It reports false for one that is to be served as any
// packet.
func (c *streamConn) relayFrame(frame []byte) (done bool) {
	relaying := c.relay.Load()
	if relaying == nil || frame[0] < 0x40 || relaying.ended.closed() {
		return false
	}
	defer c.listener.core.survive("frame")
	peer := relaying.fast.peerOf(binary.BigEndian.Uint16(frame))
	length := int(binary.BigEndian.Uint16(frame[2:]))
	if peer == nil || channelHeaderBytes+length > len(frame) {
		return false
	}
	c.listener.core.counters.fromClients.add(len(frame))
	_, _ = relaying.WriteTo(frame[channelHeaderBytes:channelHeaderBytes+length], peer) // Lost like any datagram.
	return true
}

// channelOf and peerOf look a channel up for a client on a stream.
func (f *fastPath) channelOf(peer netip.AddrPort) (number uint16, bound bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	number, bound = f.channels[peer]
	return number, bound
}

func (f *fastPath) peerOf(number uint16) net.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	if peer, ok := f.numbers[number]; ok {
		return peer
	}
	return nil
}
