package relay

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

const testStream = 3

// testStreaming enters a stream whose client has the relay of testSetting, with a submission ring that nobody reads.
func testStreaming(t testing.TB) (*memory, *socket) {
	m := testMemory(t)
	testSetting(m)
	m.detach(testRelay)
	m.removeFlows(testRelay, nil, commandRemoveFlows)
	held := &struct { // The collector does not know what a loop's memory refers to.
		sqes           [sqEntries]kernel.SQE
		tail, from, to uint32
		buffers        streamBuffers
	}{}
	t.Cleanup(func() { runtime.KeepAlive(held) })
	m.loop.uring, m.loop.ringFD = true, -1
	m.loop.sqes, m.loop.sqTail, m.loop.cqHead, m.loop.cqTail = &held.sqes, &held.tail, &held.from, &held.to
	m.sockets[testStream] = socket{
		fd: -1, kind: kindStream, state: stateOpen, sink: sinkStreams, started: true, buffers: &held.buffers,
	}
	m.attach(testRelay, &socket{listener: testStream})
	m.setFlow(testRelay, &flow{peer: endpointOf(testPeer), announced: endpointOf(testPeer), channel: 0x4001})
	return m, &m.sockets[testStream]
}

// wholeFrames cuts a stream in the plainest way: what a frame is says RFC 8656 12.5.
func wholeFrames(stream []byte) (frames [][]byte, garbage bool) {
	for len(stream) >= 4 {
		size := int(binary.BigEndian.Uint16(stream[2:]))
		switch {
		case stream[0]&0xc0 == 0x40:
			size = 4 + (size+3)/4*4
		case len(stream) < 20:
			return frames, false
		case stream[0] > 3 || size%4 != 0 || binary.BigEndian.Uint32(stream[4:]) != magicCookie:
			return frames, true
		default:
			size += 20
		}
		if size > MaxFrameBytes {
			stream = stream[min(size, len(stream)):]
			continue
		}
		if len(stream) < size {
			break
		}
		frames, stream = append(frames, stream[:size]), stream[size:]
	}
	return frames, false
}

// cutAll feeds a stream in pieces, each as far as the kernel would have been asked for, and returns what was cut.
func cutAll(t *testing.T, stream []byte, piece func() int) (frames [][]byte, garbage bool) {
	m, s := testStreaming(t)
	m.needsCut(testStream)
	for {
		m.cutStreams()
		for r := &m.up[sinkStreams]; r.tail != r.head; r.tail++ {
			if e := &r.entries[r.tail%upSlots]; e.ending == 0 {
				frames = append(frames, slices.Clone(e.payload[:e.length]))
			}
		}
		for i := range m.loop.outgoing { // A frame that is relayed, as it lies in the buffer.
			o := &m.out[i]
			data := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&o.data))), o.length)
			frame := binary.BigEndian.AppendUint16([]byte{0x40, 1}, uint16(o.length))
			frames = append(frames, append(frame, data...))
		}
		m.loop.outgoing, m.loop.signal = 0, 0
		if s.ending != 0 && m.loop.cuts == 0 {
			return frames, s.ending == endGarbage
		}
		if m.loop.cuts != 0 {
			continue
		}
		m.flushStreams()
		m.loop.pushed, m.loop.submitted = 0, 0
		if !s.reading {
			t.Fatal("nothing is being received")
		}
		room := streamInBytes - s.inEnd
		if room < MaxFrameBytes {
			t.Fatalf("room for %d bytes", room)
		}
		n := copy(s.buffers.in[s.part%2][s.inEnd:], stream[:min(len(stream), piece())])
		stream = stream[n:]
		m.readFromStream(&kernel.CQE{Res: int32(n)}, testStream, s)
	}
}

func checkCut(t *testing.T, stream []byte, piece func() int) {
	t.Helper()
	want, garbage := wholeFrames(stream)
	got, failed := cutAll(t, stream, piece)
	if failed != garbage {
		t.Fatalf("garbage %v, want %v, of %x", failed, garbage, stream)
	}
	// Relayed frames come without their padding, and in each round after those for Go.
	var relayed, up, wantRelayed, wantUp [][]byte
	for _, f := range got {
		if f[0] == 0x40 && f[1] == 1 {
			relayed = append(relayed, f)
		} else {
			up = append(up, f)
		}
	}
	for _, f := range want {
		if f[0] == 0x40 && f[1] == 1 {
			wantRelayed = append(wantRelayed, f[:4+int(binary.BigEndian.Uint16(f[2:]))])
		} else {
			wantUp = append(wantUp, f)
		}
	}
	if !slices.EqualFunc(relayed, wantRelayed, bytes.Equal) || !slices.EqualFunc(up, wantUp, bytes.Equal) {
		t.Fatalf("%d relayed and %d to Go, want %d and %d, of %x", len(relayed), len(up), len(wantRelayed), len(wantUp), stream)
	}
}

// streamSeeds are frames of a stream and what is none.
var streamSeeds = [][]byte{
	{0x40, 1, 0, 4, 1, 2, 3, 4}, {0x40, 1, 0, 1, 1, 0, 0, 0}, {0x40, 1, 0, 0}, {0x7f, 1, 0, 2, 1, 2, 0, 0},
	{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	append([]byte{0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 16)...),
	append([]byte{0x40, 1, 6, 0x20}, make([]byte, 0x620)...), // 1572 bytes
	append([]byte{0x40, 1, 6, 0x40}, make([]byte, 0x640)...), // One too long, and the next.
	append([]byte{0x40, 1, 0x40, 0}, make([]byte, 0x4000)...),
}

// TestCutAnything cuts streams of frames, mutated ones among them, in pieces of any length. Go's own fuzzing cannot be used;
// see TestTakeAnything.
func TestCutAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	for round := range 1500 {
		var stream []byte
		for range random.IntN(40) {
			frame := streamSeeds[random.IntN(len(streamSeeds))]
			if random.IntN(60) == 0 {
				frame = mutate(random, frame)
			}
			stream = append(stream, frame...)
		}
		most := []int{1, 7, 600, 5000, 40000}[round%5]
		if most == 1 && len(stream) > 4000 {
			stream = stream[:4000]
		}
		checkCut(t, stream, func() int { return 1 + random.IntN(most) })
	}
}

// TestGathersWhatIsToBeSent has completions of every kind come for a stream's sends: each byte is sent once, in order.
func TestGathersWhatIsToBeSent(t *testing.T) {
	m, s := testStreaming(t)
	s.reading = true // Nothing comes.
	random := rand.New(rand.NewPCG(10, 11))
	var want, got []byte
	lost, waits, next := 0, 0, byte(0)
	for round := range 60_000 {
		for range random.IntN(3) {
			size := 4 * (1 + random.IntN(300))
			if !m.takesMore(testStream, uint32(size)) {
				lost++
				continue
			}
			frame := make([]byte, size+8)
			for i := range size {
				frame[i], next = next, next+1
			}
			m.append(testStream, unsafe.Pointer(&frame[0]), uint32(size))
			want = append(want, frame[:size]...)
		}
		m.flushStreams()
		m.loop.pushed, m.loop.submitted = 0, 0
		if !s.sending || round/500%2 == 1 && random.IntN(40) != 0 { // It is still under way.
			continue
		}
		fill := int(m.loop.sqes[0].Len)
		at := m.loop.sqes[0].Addr - uint64(uintptr(unsafe.Pointer(&s.buffers.out)))
		if m.loop.sqes[0].OpFlags&unix.MSG_DONTWAIT == 0 {
			waits++
		}
		result := int32(random.IntN(fill + 1))
		switch random.IntN(5) {
		case 0:
			result = int32(fill)
		case 1:
			result = -int32(unix.EAGAIN)
		case 2:
			result = -int32(unix.EINTR)
		}
		got = append(got, s.buffers.out[at:at+uint64(max(0, result))]...)
		m.sentToStream(&kernel.CQE{UserData: userData(testStream, 0) | toStream, Res: result})
		if !bytes.HasPrefix(want, got) {
			t.Fatal("something else was sent")
		}
		want, got = want[len(got):], got[:0]
	}
	if lost == 0 || waits == 0 || s.outEnd > streamOutBytes {
		t.Errorf("%d packets were lost, %d sends wait for room", lost, waits)
	}
}

// TestLostSubmissions: a stream whose request the kernel does not take ends, and lets go.
func TestLostSubmissions(t *testing.T) {
	for _, mark := range []uint64{0, toStream} {
		m, s := testStreaming(t)
		s.reading, s.sending = mark == 0, mark != 0
		m.lose(&kernel.SQE{UserData: userData(testStream, 0) | mark})
		m.cutStreams()
		if s.reading || s.sending || !s.told || m.up[sinkStreams].head != 1 {
			t.Errorf("request %x: %+v", mark, s)
		}
		m, s = testStreaming(t)
		s.reading, s.sending, s.state = mark == 0, mark != 0, stateClosing
		m.lose(&kernel.SQE{UserData: userData(testStream, 0) | mark})
		if m.cutStreams(); s.state != stateFreed {
			t.Errorf("request %x: state %d after the end", mark, s.state)
		}
	}
}

// TestCutsStreamsAlone has the entry of a stream that is to be served become a relay's, which has no buffers.
func TestCutsStreamsAlone(t *testing.T) {
	m, s := testStreaming(t)
	m.needsCut(testStream)
	m.needsFlush(testStream)
	*s = socket{fd: -1, kind: kindRelay, state: stateOpen, generation: 1, started: true}
	m.cutStreams()
	if m.flushStreams(); m.loop.cuts != 0 || m.loop.pushed != 0 {
		t.Errorf("%d to cut, %d requests", m.loop.cuts, m.loop.pushed)
	}
}

// TestCountsAWaitingFrameOnce has frames wait for room in the queue to Go, for many rounds.
func TestCountsAWaitingFrameOnce(t *testing.T) {
	m, s := testStreaming(t)
	const frames = streamSlots + 3
	frame := streamSeeds[4]
	for i := range frames {
		copy(s.buffers.in[0][i*len(frame):], frame)
	}
	s.inEnd = uint32(frames * len(frame))
	m.needsCut(testStream)
	for range 5 {
		m.cutStreams()
	}
	if n := m.loop.counters.Packets; n != streamSlots {
		t.Errorf("%d packets are counted of %d that were taken", n, streamSlots)
	}
	m.up[sinkStreams].tail += 3
	if m.cutStreams(); m.loop.counters.Packets != frames || m.loop.cuts != 0 {
		t.Errorf("%d packets are counted of %d", m.loop.counters.Packets, frames)
	}
}

// TestWhatASlowClientLosesIsFree fills a stream: packets of the peer, and what Go writes for one, are lost, take nothing of
// the ceilings and are not counted as delivered.
func TestWhatASlowClientLosesIsFree(t *testing.T) {
	m, s := testStreaming(t)
	s.outEnd = lossyFill + 4
	r := &m.sockets[testRelay]
	r.downPackets.cost, r.downBytes.cost = cost(1000), cost(1000)
	takeOne(t, m, 1, make([]byte, 100))
	m.writeStream(testStream, &command{length: 104, lossy: true})
	n := m.loop.counters
	if n.Drops.SlowClient != 2 || n.ToClients != 0 || r.drops.SlowClient != 2 || r.fromPeers.packets != 0 {
		t.Errorf("counted %+v, the relay %+v", n, r.drops)
	}
	if r.downPackets.full != 0 || r.downBytes.full != 0 {
		t.Error("what was lost was taken from the ceilings")
	}
	s.outEnd = 0
	takeOne(t, m, 1, make([]byte, 100))
	m.writeStream(testStream, &command{length: 104, lossy: true})
	if n = m.loop.counters; n.ToClients != 2 || n.ToClientBytes != 208 || r.fromPeers.packets != 1 || r.downBytes.full == 0 {
		t.Errorf("counted %+v", n)
	}
}
