//go:build linux

package relay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn/relay"
)

// streaming is one allocation whose client is on a stream, which its own end of is near.
type streaming struct {
	t      *testing.T
	loop   *relay.Loop
	near   *net.TCPConn
	stream *relay.Stream
	relay  *relay.Relay
	peer   *net.UDPConn
	up     upward
}

// upward takes what the loop does not handle itself. answer, if there is one, is called with each frame.
type upward struct {
	answer func(frame []byte)
	ended  chan struct{}

	mu      sync.Mutex // guards what follows
	frames  [][]byte
	over    bool
	garbage bool
}

func (u *upward) Frame(frame []byte) {
	u.mu.Lock()
	u.frames = append(u.frames, slices.Clone(frame))
	u.mu.Unlock()
	if u.answer != nil {
		u.answer(frame)
	}
}

func (u *upward) Over(garbage bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		panic("over twice")
	}
	u.over, u.garbage = true, garbage
}

func (u *upward) Ended() { close(u.ended) }

func (u *upward) got() [][]byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.frames)
}

func (u *upward) isOver() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.over
}

// ringPlane is a plane of one loop that serves streams.
func ringPlane(t *testing.T) *relay.Plane {
	t.Helper()
	p, err := relay.Open(relay.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if p.NextForStream() == nil {
		t.Fatalf("streams are not served: %v", p.Notes())
	}
	return p
}

// newStreaming makes a connection whose far end is the loop's, with a relay and a channel 0x4001 to a peer. read is what
// has been read of it before.
func newStreaming(t *testing.T, p *relay.Plane, read []byte) *streaming {
	t.Helper()
	return newStreamingBy(t, p, read, func(*net.TCPConn) error { return nil })
}

// newStreamingBy also prepares the far end.
func newStreamingBy(t *testing.T, p *relay.Plane, read []byte, prepare func(far *net.TCPConn) error) *streaming {
	t.Helper()
	s := &streaming{t: t, loop: p.NextForStream(), peer: socket(t), up: upward{ended: make(chan struct{})}}
	door, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anywhere))
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	if s.near, err = net.DialTCP("tcp", nil, door.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.near.Close() })
	far, err := door.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(far); err != nil {
		t.Fatal(err)
	}
	if s.stream, err = s.loop.OpenStream(far, &s.up); err != nil {
		t.Fatal(err)
	}
	far.Close()
	s.allocate()
	if err := s.stream.Start(read); err != nil {
		t.Fatal(err)
	}
	return s
}

// allocate opens a relay and binds the channel.
func (s *streaming) allocate() {
	s.t.Helper()
	var err error
	if s.relay, err = s.loop.OpenRelay(anywhere); err != nil {
		s.t.Fatal(err)
	}
	s.relay.Attach(relay.Client{Stream: s.stream})
	s.bind(s.peer, 0x4001)
}

func (s *streaming) bind(peer *net.UDPConn, channel uint16) {
	s.relay.SetFlow(relay.Flow{Peer: addr(peer), Announced: addr(peer), Channel: channel})
}

// close ends the stream and waits for that.
func (s *streaming) close() {
	s.t.Helper()
	_ = s.stream.Close()
	select {
	case <-s.up.ended:
	case <-timingtest.Patient(s.t).Done():
		s.t.Fatal("the stream does not end")
	}
}

// padded is ChannelData on a stream.
func padded(channel uint16, data string) []byte {
	frame := channelData(channel, data)
	return append(frame, make([]byte, -len(frame)&3)...)
}

func (s *streaming) writes(data []byte) {
	s.t.Helper()
	if _, err := s.near.Write(data); err != nil {
		s.t.Fatal(err)
	}
}

// frame reads the next frame that comes to the client.
func frame(from io.Reader) ([]byte, error) {
	head := make([]byte, 4, 2048)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	switch {
	case head[0] < 4:
		size += 16
	case head[0] >= 0x40 && head[0] < 0x80:
		size = (size + 3) &^ 3
	default:
		return nil, fmt.Errorf("no frame begins with %x", head)
	}
	whole := append(head, make([]byte, size)...)
	_, err := io.ReadFull(from, whole[4:])
	return whole, err
}

// gets expects a frame at the client.
func (s *streaming) gets(want []byte) {
	s.t.Helper()
	if err := s.near.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	if got, err := frame(s.near); err != nil || !bytes.Equal(got, want) {
		s.t.Fatalf("the client got %x (%v), want %x", got, err, want)
	}
}

// peerGets expects a packet at the peer.
func (s *streaming) peerGets(want string) {
	s.t.Helper()
	if err := s.peer.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	n, from, err := s.peer.ReadFromUDPAddrPort(buffer)
	if err != nil || string(buffer[:n]) != want || from != addr(s.relay) {
		s.t.Fatalf("the peer got %q from %v (%v), want %q", buffer[:n], from, err, want)
	}
}

func (s *streaming) peerSends(data string) {
	s.t.Helper()
	if _, err := s.peer.WriteToUDPAddrPort([]byte(data), addr(s.relay)); err != nil {
		s.t.Fatal(err)
	}
}

// TestStreamBothWays also holds the counters, and what was read before the loop did.
func TestStreamBothWays(t *testing.T) {
	p := ringPlane(t)
	s := newStreaming(t, p, padded(0x4001, "early"))
	s.peerGets("early")
	for _, data := range []string{"there", "", "four", "and of some length"} {
		s.writes(padded(0x4001, data))
		s.peerGets(data)
		s.peerSends(data + " and back")
		s.gets(padded(0x4001, data+" and back"))
	}
	if up, down, _ := s.relay.Traffic(); up.Packets != 5 || up.Bytes != 5+5+4+18 || down.Packets != 4 {
		t.Errorf("counted %+v and %+v", up, down)
	}
	if n := p.Counters(); n.FromClients != 5 || n.FromClientBytes != 12+12+4+8+24 || n.ToClients != 4 {
		t.Errorf("counted %+v", n)
	}
	s.close()
	if _, err := frame(s.near); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestStreamIndications relays Send and Data indications of a peer with a permission and no channel.
func TestStreamIndications(t *testing.T) {
	s := newStreaming(t, ringPlane(t), nil)
	other := socket(t)
	s.bind(other, 0)
	for _, data := range []string{"there", "", "four"} {
		s.writes(indication(stun.MethodSend, addr(other), data))
		s.peer, other = other, s.peer
		s.peerGets(data)
		s.peerSends(data)
		got, err := frame(s.near)
		m := &stun.Message{Raw: got}
		if err != nil || m.Decode() != nil || m.Type.Method != stun.MethodData {
			t.Fatalf("got %x, %v", got, err)
		}
		if body, err := m.Get(stun.AttrData); err != nil || string(body) != data {
			t.Errorf("got %q, %v", body, err)
		}
		s.peer, other = other, s.peer
	}
	s.close()
}

// mixture is a stream of frames of all kinds, with what the peer and Go are to get of it.
func mixture(random *rand.Rand, frames int) (stream []byte, peer []string, up [][]byte) {
	for i := range frames {
		switch random.IntN(6) {
		case 0:
			ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewSoftware(fmt.Sprint("mixture ", i))).Raw
			stream, up = append(stream, ask...), append(up, ask)
		case 1: // A channel without a flow.
			frame := padded(0x4002, fmt.Sprint("slow ", i))
			stream, up = append(stream, frame...), append(up, frame)
		case 2: // Too long.
			stream = append(stream, padded(0x4001, string(make([]byte, relay.MaxFrameBytes+random.IntN(9000))))...)
		default:
			data := fmt.Sprint("fast ", i, string(make([]byte, random.IntN(1500))))
			stream, peer = append(stream, padded(0x4001, data)...), append(peer, data)
		}
	}
	return stream, peer, up
}

// TestStreamIsCutAnywhere writes a stream in two pieces, for every place where it can be cut.
func TestStreamIsCutAnywhere(t *testing.T) {
	p := ringPlane(t)
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	stream := slices.Concat(padded(0x4001, "a"), ask, padded(0x4001, ""), padded(0x4002, "up"), padded(0x4001, "the last"))
	for at := range len(stream) + 1 {
		s := newStreaming(t, p, stream[:at]) // What has been read before is a piece as well.
		if at%2 == 0 {                       // In one more piece, or byte by byte.
			s.writes(stream[at:])
		} else {
			for i := at; i < len(stream); i++ {
				s.writes(stream[i : i+1])
			}
		}
		for _, want := range []string{"a", "", "the last"} {
			s.peerGets(want)
		}
		eventually(t, "Go gets its frames", func() bool { return len(s.up.got()) == 2 })
		if got := s.up.got(); !bytes.Equal(got[0], ask) || !bytes.Equal(got[1], padded(0x4002, "up")) {
			t.Fatalf("cut at %d: Go got %x", at, got)
		}
		s.close()
		_ = s.relay.Close()
		<-s.relay.Ended()
	}
}

// TestStreamInAnyPieces writes long streams in pieces of any length: every frame gets where it belongs, in order.
func TestStreamInAnyPieces(t *testing.T) {
	p := ringPlane(t)
	for round := range 20 {
		random := rand.New(rand.NewPCG(7, uint64(round)))
		s := newStreaming(t, p, nil)
		stream, peer, up := mixture(random, 150)
		most := []int{3, 100, 1500, 20000, 200000}[round%5]
		if most == 3 {
			stream, peer, up = mixture(random, 20)
		}
		var writing sync.WaitGroup
		writing.Go(func() {
			for len(stream) > 0 {
				n := min(len(stream), 1+random.IntN(most))
				if _, err := s.near.Write(stream[:n]); err != nil {
					t.Error(err)
					return
				}
				stream = stream[n:]
			}
		})
		for _, want := range peer { // The peer's socket has room for them all.
			s.peerGets(want)
		}
		writing.Wait()
		eventually(t, "Go gets its frames", func() bool { return len(s.up.got()) == len(up) })
		for i, got := range s.up.got() {
			if !bytes.Equal(got, up[i]) {
				t.Fatalf("round %d: frame %d to Go is %x, want %x", round, i, got, up[i])
			}
		}
		s.close()
	}
}

// TestAnswersAmongChannelData has Go answer requests while packets of peers come: whatever the order, no frame is cut by
// another, none is lost that must not be, and the answers keep theirs.
func TestAnswersAmongChannelData(t *testing.T) {
	p := ringPlane(t)
	s := newStreaming(t, p, nil)
	const requests = 3000 // Many more than the queue to Go holds.
	s.up.answer = func(frame []byte) {
		if err := s.stream.Write(frame, false); err != nil {
			t.Error(err)
		}
	}
	var stop atomic.Bool
	var running sync.WaitGroup
	defer func() { stop.Store(true); running.Wait(); s.close() }()
	running.Go(func() {
		for i := uint32(0); !stop.Load(); i++ {
			data := make([]byte, 4+i%1200)
			binary.BigEndian.PutUint32(data, i)
			_, _ = s.peer.WriteToUDPAddrPort(data, addr(s.relay))
		}
	})
	running.Go(func() {
		for i := range uint32(requests) {
			ask := stun.MustBuild(stun.BindingRequest, stun.NewSoftware(fmt.Sprint(i))).Raw
			binary.BigEndian.PutUint32(ask[8:], i)
			if _, err := s.near.Write(append(ask, padded(0x4001, "there")...)); err != nil {
				return // The test has failed.
			}
		}
	})
	if err := s.near.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answers, packets, last := uint32(0), 0, uint32(0)
	for answers < requests || packets < 1000 {
		got, err := frame(s.near)
		if err != nil {
			t.Fatalf("after %d answers and %d packets: %v", answers, packets, err)
		}
		if got[0] < 4 {
			if n := binary.BigEndian.Uint32(got[8:]); n != answers {
				t.Fatalf("answer %d came when %d was due", n, answers)
			}
			answers++
			continue
		}
		n, size := binary.BigEndian.Uint32(got[4:]), int(binary.BigEndian.Uint16(got[2:]))
		if packets > 0 && n <= last || size != int(4+n%1200) {
			t.Fatalf("packet %d of %d bytes came after %d", n, size, last)
		}
		last = n
		packets++
	}
}

// TestSlowClient does not read while its peer sends. What does not fit is dropped and counted, what arrives is whole, and
// another client of the loop does not notice.
func TestSlowClient(t *testing.T) {
	p := ringPlane(t)
	slow := newStreamingBy(t, p, nil, func(far *net.TCPConn) error { return far.SetWriteBuffer(4096) })
	quick := newStreaming(t, p, nil)
	if err := slow.near.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	data := string(bytes.Repeat([]byte("slow"), 300))
	eventually(t, "packets are dropped", func() bool {
		for range 100 {
			slow.peerSends(data)
		}
		quick.peerSends("quick")
		quick.gets(padded(0x4001, "quick"))
		_, _, dropped := slow.relay.Traffic()
		return dropped.SlowClient > 100
	})
	quick.writes(padded(0x4001, "quick"))
	quick.peerGets("quick")
	slow.writes(padded(0x4001, "the other way")) // Which is not blocked.
	slow.peerGets("the other way")
	if err := slow.stream.Write(padded(0x4003, "must come"), false); err != nil {
		t.Fatal(err)
	}
	if err := slow.near.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		got, err := frame(slow.near)
		if err != nil {
			t.Fatalf("after %d frames: %v", n, err)
		}
		if bytes.Equal(got, padded(0x4003, "must come")) {
			break
		}
		if !bytes.Equal(got, padded(0x4001, data)) {
			t.Fatalf("frame %d is %x", n, got)
		}
	}
	slow.close()
	quick.close()
}

// TestDeafClient asks and never reads: the loop takes no more of its requests than it has room to answer, so that TCP
// holds the client up, and others are served.
func TestDeafClient(t *testing.T) {
	p := ringPlane(t)
	deaf, other := newStreaming(t, p, nil), newStreaming(t, p, nil)
	var asked atomic.Int64
	deaf.up.answer = func(frame []byte) {
		asked.Add(1)
		if err := deaf.stream.Write(frame, false); err != nil {
			t.Error(err)
		}
	}
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewSoftware(string(make([]byte, 200)))).Raw
	stop := make(chan struct{})
	go func() { // Ends with the connection.
		defer close(stop)
		for {
			if _, err := deaf.near.Write(ask); err != nil {
				return
			}
		}
	}()
	before := int64(-1)
	eventually(t, "the client is held up", func() bool { // No frame is taken while others are many times.
		for range 300 {
			other.writes(padded(0x4001, "served"))
			other.peerGets("served")
		}
		now := asked.Load()
		same := now == before && now > 0
		before = now
		return same
	})
	if n := p.Counters().SocketFull; n != 0 {
		t.Errorf("%d answers were lost", n)
	}
	deaf.close()
	deaf.near.Close()
	<-stop
	other.close()
}

// TestEndOfStream tells Go of an end behind the frames before it: FIN, garbage, and RST.
func TestEndOfStream(t *testing.T) {
	p := ringPlane(t)
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	for name, end := range map[string]func(*streaming){
		"fin":     func(s *streaming) { _ = s.near.CloseWrite() },
		"cut":     func(s *streaming) { s.writes(padded(0x4001, "not whole")[:7]); _ = s.near.CloseWrite() },
		"garbage": func(s *streaming) { s.writes([]byte("\x16\x03\x01 a TLS ClientHello")) },
	} {
		s := newStreaming(t, p, nil)
		for range 200 { // More than the queue to Go holds.
			s.writes(ask)
		}
		end(s)
		eventually(t, name+" is told", s.up.isOver)
		if n := len(s.up.got()); n != 200 || s.up.garbage != (name == "garbage") {
			t.Errorf("%s: %d frames came before, garbage %v", name, n, s.up.garbage)
		}
		if err := s.stream.Write(ask, false); err != nil { // It is heard although it is the last.
			t.Error(err)
		}
		s.close()
		if got, err := frame(s.near); name == "fin" && !bytes.Equal(got, ask) {
			t.Errorf("%s: the last answer is %x, %v", name, got, err)
		}
	}
	s := newStreaming(t, p, nil)
	s.writes(padded(0x4001, "there"))
	s.peerGets("there")
	_ = s.near.SetLinger(0)
	s.near.Close()
	eventually(t, "a reset is told", s.up.isOver)
	s.peerSends("to nobody")
	s.close()
}

// TestStreamsEndUnderLoad has clients go, streams closed and relays deleted while both ends send, and others take their
// places: a frame gets to the stream whose relay it came to, and no other.
func TestStreamsEndUnderLoad(t *testing.T) {
	p := ringPlane(t)
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			for round := 0; round < 25 && !t.Failed(); round++ {
				s := newStreaming(t, p, nil)
				label := fmt.Sprint("worker ", worker, " round ", round)
				s.load(label, (worker+round)%4)
			}
		})
	}
	running.Wait()
}

// load sends both ways and ends in one of four ways in mid-stream.
func (s *streaming) load(label string, how int) {
	var busy sync.WaitGroup
	var over atomic.Bool
	arrived := make(chan struct{}, 1)
	busy.Go(func() {
		for !over.Load() {
			if _, err := s.near.Write(bytes.Repeat(padded(0x4001, label), 20)); err != nil {
				return
			}
		}
	})
	busy.Go(func() {
		for !over.Load() {
			_, _ = s.peer.WriteToUDPAddrPort([]byte(label), addr(s.relay))
		}
	})
	busy.Go(func() { // What the peer gets, if anything, is its client's.
		buffer := make([]byte, 100)
		for {
			n, _, err := s.peer.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if string(buffer[:n]) != label {
				s.t.Errorf("%s: the peer got %q", label, buffer[:n])
			}
		}
	})
	busy.Go(func() {
		for n := 0; ; n++ {
			got, err := frame(s.near)
			if err != nil {
				return
			}
			if !bytes.Equal(got, padded(0x4001, label)) {
				s.t.Errorf("%s: the client got %q", label, got)
			}
			if n == 20 {
				arrived <- struct{}{}
			}
		}
	})
	select {
	case <-arrived:
	case <-timingtest.Patient(s.t).Done():
		s.t.Error("nothing comes back")
	}
	switch how {
	case 0: // The client is gone in the middle of what is sent.
		_ = s.near.SetLinger(0)
		s.near.Close()
	case 1:
		_ = s.stream.Close()
	case 2: // The allocation is deleted, and there is another on the same stream.
		_ = s.relay.Close()
	case 3:
		_ = s.near.CloseWrite()
	}
	if how == 2 {
		<-s.relay.Ended()
	}
	_ = s.stream.Close()
	<-s.up.ended
	over.Store(true)
	_ = s.peer.SetReadDeadline(time.Unix(1, 0))
	_ = s.near.Close()
	busy.Wait()
	_ = s.relay.Close()
	<-s.relay.Ended()
}

// TestRebindOnAStream has one channel lead to one peer after the other while the client sends: what is sent after a step
// goes to the peer of that step, or to the next where it was handled later.
func TestRebindOnAStream(t *testing.T) {
	const peers = 4
	s := newStreaming(t, ringPlane(t), nil)
	if err := s.near.SetWriteBuffer(4096); err != nil { // Little is under way.
		t.Fatal(err)
	}
	all := []*net.UDPConn{s.peer}
	for len(all) < peers {
		all = append(all, socket(t))
	}
	var step, arrived atomic.Uint32
	var stop atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !stop.Load() {
			label := binary.BigEndian.AppendUint32(nil, step.Load())
			if _, err := s.near.Write(bytes.Repeat(padded(0x4001, string(label)), 5)); err != nil {
				return
			}
		}
	})
	for i, peer := range all {
		running.Go(func() {
			buffer := make([]byte, 100)
			for {
				if _, _, err := peer.ReadFromUDPAddrPort(buffer); err != nil {
					return
				}
				label := binary.BigEndian.Uint32(buffer)
				if i != int(label%peers) && i != int((label+1)%peers) {
					t.Errorf("peer %d got a packet of step %d", i, label)
				}
				arrived.Store(label)
			}
		})
	}
	for n := range 60 {
		eventually(t, "a packet of the step arrives", func() bool { return arrived.Load() == step.Load() })
		s.relay.RemoveFlow(addr(all[n%peers]))
		s.bind(all[(n+1)%peers], 0x4001)
		step.Add(1)
	}
	stop.Store(true)
	s.near.Close()
	for _, peer := range all {
		_ = peer.SetReadDeadline(time.Unix(1, 0))
	}
	s.close()
	running.Wait()
}

// TestSecondAllocationOnAStream deletes the allocation and makes another on the same connection.
func TestSecondAllocationOnAStream(t *testing.T) {
	p := ringPlane(t)
	s := newStreaming(t, p, nil)
	for i := range 20 {
		s.writes(padded(0x4001, fmt.Sprint("there ", i)))
		s.peerGets(fmt.Sprint("there ", i))
		old := s.relay
		_ = old.Close()
		<-old.Ended()
		s.writes(padded(0x4001, "to nobody"))
		eventually(t, "a stranger is counted", func() bool { return p.Counters().Strangers == uint64(i+1) })
		s.allocate()
		s.peerSends(fmt.Sprint("back ", i))
		s.gets(padded(0x4001, fmt.Sprint("back ", i)))
	}
	s.close()
}

// TestPlaneEndsWithStreams closes the plane under open streams, one of them never started.
func TestPlaneEndsWithStreams(t *testing.T) {
	p, err := relay.Open(relay.Options{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	var all []*streaming
	for range 10 {
		all = append(all, newStreaming(t, p, nil))
	}
	all[0].writes(padded(0x4001, "there"))
	all[0].peerGets("there")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range all {
		<-s.up.ended
		if _, err := frame(s.near); err == nil {
			t.Error("the connection is still open")
		}
	}
}
