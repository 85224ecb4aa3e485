package relay

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// testMemory is a loop's memory without a loop: its functions run in the test's goroutine.
func testMemory(t testing.TB) *memory {
	t.Helper()
	at, mapped, err := mapMemory(unsafe.Sizeof(memory{}))
	if err != nil {
		t.Fatal(err)
	}
	flags, words, err := mapMemory(unsafe.Sizeof(shared{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if unmap(mapped) != nil || unmap(words) != nil {
			t.Error("the memory cannot be unmapped")
		}
	})
	m := (*memory)(at)
	m.loop.shared = (*shared)(flags)
	m.loop.seed = [3]uint64{1, 2, 3}
	return m
}

const (
	testListener = 1
	testRelay    = 2
)

var (
	testClient = netip.MustParseAddrPort("192.0.2.1:1000")
	testPeer   = netip.MustParseAddrPort("198.51.100.1:2000")
	testPeer6  = netip.MustParseAddrPort("[2001:db8::1]:2000")
)

// testSetting enters a listener and a relay with a channel to one peer and none to another.
func testSetting(m *memory) {
	m.sockets[testListener] = socket{fd: 100, kind: kindListener, state: stateOpen, sink: 1}
	m.sockets[testRelay] = socket{fd: 101, kind: kindRelay, state: stateOpen}
	entry := socket{listener: testListener, client: endpointOf(testClient)}
	entry.nameLen = sockaddr(testClient, unix.AF_INET, &entry.name)
	m.attach(testRelay, &entry)
	m.setFlow(testRelay, &flow{peer: endpointOf(testPeer), announced: endpointOf(testPeer), channel: 0x4001})
	m.setFlow(testRelay, &flow{peer: endpointOf(testPeer6), announced: endpointOf(testPeer6)})
}

// seeds are packets of every kind that the loop handles.
var seeds = [][]byte{
	{0x40, 1, 0, 4, 1, 2, 3, 4},
	{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	{0, 0x16, 0, 20, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, // Send indication
		0, 0x12, 0, 8, 0, 1, 0x26, 0xc2, 0xe7, 0x21, 0xc0, 0x43, 0, 0x13, 0, 1, 7, 0, 0, 0},
	{0, 0x16, 0, 32, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x13, 0, 1, 7, 0, 0, 0,
		0, 0x12, 0, 20, 0, 2, 0x26, 0xc2, 1, 0x13, 0xa9, 0xfa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13},
	{0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x80, 0x28, 0, 4, 0x5b, 0x20, 0xf9, 0xcc},
	{0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x19, 0, 4, 17, 0, 0, 0}, // Allocate
	{},
}

// TestFingerprintVectors holds FINGERPRINT against the samples of RFC 5769 (2.1, a request, and 2.2, an answer).
func TestFingerprintVectors(t *testing.T) {
	const id = "b7e7a701bc34d686fa87dfae"
	for name, text := range map[string]string{
		"2.1": "000100582112a442" + id + "802200105354554e207465737420636c69656e7400240004" + "6e0001ff" +
			"80290008932ff9b151263b36" + "000600096576746a3a68367659202020" +
			"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2" + "80280004e57a3bcf",
		"2.2": "0101003c2112a442" + id + "8022000b7465737420766563746f7220" + "002000080001a147e112a643" +
			"000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7" + "80280004c07d4c96",
	} {
		want, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Clone(want)
		length := uint32(len(want)) - markBytes
		clear(got[length:])
		if n := mark(unsafe.Pointer(&got[0]), length); n != uint32(len(want)) || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

// TestCRC holds the loop's CRC against that of the standard library.
func TestCRC(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	data := make([]byte, 300)
	for range 1000 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		n := random.IntN(len(data))
		if got, want := crc(unsafe.Pointer(&data[0]), uintptr(n)), crc32.ChecksumIEEE(data[:n]); got != want {
			t.Fatalf("%x, want %x, of %x", got, want, data[:n])
		}
	}
}

// TestTakeAnything feeds mutated packets from every side. What leaves must lie within the buffer that it came in. Go's
// own fuzzing cannot be used: its instrumentation makes the frames too large for functions that do not grow the stack.
func TestTakeAnything(t *testing.T) {
	m := testMemory(t)
	testSetting(m)
	m.loop.shared.challenge.turn, m.loop.shared.challenge.text = 2, challengeText{length: maxRealm, until: 1 << 62}
	random := rand.New(rand.NewPCG(3, 4))
	sent := 0
	for range 300_000 {
		data := mutate(random, seeds[random.IntN(len(seeds))])
		takeOne(t, m, random.IntN(4), data)
		sent += int(m.loop.outgoing)
		m.loop.outgoing, m.loop.signal = 0, 0
		m.up[0].tail, m.up[1].tail = m.up[0].head, m.up[1].head
	}
	if n := m.loop.counters; sent < 1000 || n.Bindings < 1000 || n.Challenges < 1000 || n.Garbage < 1000 || n.Strangers < 1000 {
		t.Errorf("%d packets were sent on, %+v", sent, n)
	}
}

// mutate changes, cuts or lengthens a packet, or leaves it.
func mutate(random *rand.Rand, seed []byte) []byte {
	data := slices.Clone(seed)
	for range random.IntN(4) {
		switch {
		case len(data) > 0 && random.IntN(3) > 0:
			data[random.IntN(len(data))] = byte(random.Uint32())
		case random.IntN(2) == 0:
			data = data[:random.IntN(len(data)+1)]
		default:
			data = append(data, make([]byte, random.IntN(payloadBytes))...)
		}
	}
	return data
}

// takeOne has a packet come from a client, from a peer of either family, or from nobody's client.
func takeOne(t *testing.T, m *memory, side int, data []byte) {
	t.Helper()
	from := []netip.AddrPort{testClient, testPeer, testPeer6, testPeer6}[side]
	index := []uint32{testListener, testRelay, testRelay, testListener}[side]
	b := unsafe.Pointer(&m.buffers[3])
	p := packet{socket: index, payload: unsafe.Add(b, payloadAt)}
	p.length = uint32(copy(m.buffers[3][payloadAt:payloadAt+payloadBytes], data))
	family := unix.AF_INET
	if from.Addr().Is6() {
		family = unix.AF_INET6
	}
	sockaddr(from, family, (*[nameBytes]byte)(p.name()))
	m.take(&p)
	start := uint64(uintptr(b))
	for i := range m.loop.outgoing {
		if o := m.out[i]; o.data < start || o.data+o.length > start+bufferBytes {
			t.Fatalf("%d bytes at %d of the buffer after %x", o.length, int64(o.data-start), data)
		}
	}
}

// TestTableAgainstMap inserts and removes at random, with many hashes that meet, and compares with a map.
func TestTableAgainstMap(t *testing.T) {
	m := testMemory(t)
	random := rand.New(rand.NewPCG(1, 2))
	hashes, want := map[uint32]uint32{}, map[uint32]bool{}
	for step := range 20_000 {
		index := random.Uint32N(200)
		if _, known := hashes[index]; !known {
			hashes[index] = random.Uint32N(8) - 4 // Around the table's end, all in one heap.
		}
		if want[index] {
			remove(&m.byPeer, hashes[index], index)
		} else {
			insert(&m.byPeer, hashes[index], index)
		}
		want[index] = !want[index]
		if step%500 == 0 {
			checkTable(t, &m.byPeer, hashes, want)
		}
	}
}

func checkTable(t *testing.T, table *[tableSlots]slot, hashes map[uint32]uint32, want map[uint32]bool) {
	t.Helper()
	for index, hash := range hashes {
		found := false
		for i := hash % tableSlots; table[i].index != 0; i = (i + 1) % tableSlots {
			found = found || table[i].index == index+1
		}
		if found != want[index] {
			t.Fatalf("index %d: found %v, want %v", index, found, want[index])
		}
	}
}

// TestFlowsAreGivenBack makes and removes more flows than there are places.
func TestFlowsAreGivenBack(t *testing.T) {
	m := testMemory(t)
	testSetting(m)
	for i := range 3 * maxFlows {
		peer := endpointOf(netip.AddrPortFrom(testPeer.Addr(), uint16(3000+i%100)))
		m.setFlow(testRelay, &flow{peer: peer, announced: peer})
		if i%100 == 99 {
			m.removeFlows(testRelay, nil, commandRemoveFlows)
		}
	}
	if m.loop.flowTop > 110 || m.sockets[testRelay].flows != uint32(3*maxFlows%100) {
		t.Errorf("%d places were used, %d flows are left", m.loop.flowTop, m.sockets[testRelay].flows)
	}
	m.removeFlows(testRelay, nil, commandRemoveFlows)
	m.detach(testRelay)
	for i := range m.byPeer {
		if m.byPeer[i].index != 0 || m.byClient[i].index != 0 || m.clients[i].index != 0 {
			t.Fatalf("slot %d is in use", i)
		}
	}
}

// TestSegments puts together what goes to one address, of one length but the last.
func TestSegments(t *testing.T) {
	m := testMemory(t)
	add := func(name *[nameBytes]byte, length uint32) {
		m.send(testListener, testRelay, unsafe.Pointer(&m.buffers[0]), length, name, 16)
	}
	one, other := &m.sockets[1].name, &m.sockets[2].name
	for _, n := range []uint32{100, 100, 100, 40, 100} {
		add(one, n)
	}
	add(other, 100)
	add(other, 120)
	add(other, 1500)
	add(other, 1500)
	for at, want := range map[uint32]uint32{0: 4, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1} {
		if n := m.alike(at); n != want {
			t.Errorf("from %d: %d alike, want %d", at, n, want)
		}
	}
	m.loop.whole = true
	if n := m.alike(0); n != 1 {
		t.Errorf("%d leave together where that does not work", n)
	}
}

// TestEndpointRoundTrip also holds the reading of a sockaddr against its writing.
func TestEndpointRoundTrip(t *testing.T) {
	for _, at := range []netip.AddrPort{testClient, testPeer6} {
		if got := endpointOf(at).addrPort(); got != at {
			t.Errorf("%v became %v", at, got)
		}
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			if family == unix.AF_INET && at.Addr().Is6() {
				continue
			}
			var buffer [bufferBytes]byte
			p := packet{payload: unsafe.Pointer(&buffer[payloadAt])}
			length := sockaddr(at, family, (*[nameBytes]byte)(p.name()))
			if p.readName(); p.from != endpointOf(at) || p.nameLen != length {
				t.Errorf("%v as family %d became %v", at, family, p.from.addrPort())
			}
		}
	}
}

// TestOneRateForLoopAndGo has a loop and Go take from one allocation's ceilings at one instant: together they get the
// burst, to the packet and to the byte, and what one ceiling refuses costs nothing of the other.
func TestOneRateForLoopAndGo(t *testing.T) {
	const rate, now, length = 4000, 1e12, 100
	for name, row := range map[string]struct{ packets, bytes int }{
		"packets": {packets: rate}, "bytes": {bytes: rate * length},
		"packets before bytes": {packets: rate, bytes: 2 * rate * length},
		"bytes before packets": {packets: 2 * rate, bytes: rate * length},
	} {
		m := testMemory(t)
		m.loop.now = now
		s := &m.sockets[testRelay]
		s.upPackets.cost, s.upBytes.cost = cost(row.packets), cost(row.bytes)
		var passed atomic.Int64
		var running sync.WaitGroup
		offer := func(admitted func() bool) {
			running.Go(func() {
				for range rate {
					if admitted() {
						passed.Add(1)
					}
				}
			})
		}
		offer(func() bool { return m.admit(s, &s.upPackets, &s.upBytes, length) })
		for range 3 {
			offer(func() bool { return takeBoth(&s.upPackets, &s.upBytes, now, length) == Admitted })
		}
		running.Wait()
		if n := passed.Load(); n != rate/4 {
			t.Errorf("%s: %d passed, want %d", name, n, rate/4)
		}
		if spent := s.upPackets.full; row.packets == 2*rate && spent != now+ceilingBurst/2 {
			t.Errorf("%s: the packets' bucket is full again after %d ns", name, spent-now)
		}
	}
}

// counting counts what it is given.
type counting struct{ packets int }

func (c *counting) Packet(netip.AddrPort, []byte) { c.packets++ }
func (c *counting) Ended()                        {}

// TestDeliverCallsNobody: who calls Deliver may hold the lock that the receiver takes for each packet.
func TestDeliverCallsNobody(t *testing.T) {
	r, to, peer := &Relay{}, &counting{}, netip.MustParseAddrPort("192.0.2.1:7")
	r.arrived.L = &r.mu
	r.push(peer, []byte("early"))
	if r.Deliver(to); to.packets != 0 {
		t.Errorf("%d packets were delivered within Deliver", to.packets)
	}
	if r.push(peer, []byte("late")); to.packets != 1 || len(r.queue) != 0 {
		t.Errorf("%d packets delivered, %d wait", to.packets, len(r.queue))
	}
}

// TestCountsWhatIsLost has sends fail, one by one and together, and the queue to Go be full.
func TestCountsWhatIsLost(t *testing.T) {
	m, _ := testStreaming(t)
	name := &m.sockets[testRelay].name
	for range 5 {
		m.send(testRelay, testRelay, unsafe.Pointer(&m.buffers[0]), 100, name, 16)
	}
	m.send(testRelay, testRelay, unsafe.Pointer(&m.buffers[0]), 200, name, 16)
	m.flush()
	if m.loop.pushed != 2 {
		t.Fatalf("%d submissions, want one of five datagrams and one of one", m.loop.pushed)
	}
	for i := range m.loop.pushed {
		m.completeSend(&kernel.CQE{UserData: m.loop.sqes[i].UserData, Res: -int32(unix.EAGAIN)})
	}
	if n := m.loop.counters.SocketFull; n != 6 {
		t.Errorf("%d datagrams are counted as lost, want 6", n)
	}
	if m.enter(0); m.loop.counters.SocketFull != 12 { // It is refused.
		t.Errorf("%d datagrams are counted as lost, want 12", m.loop.counters.SocketFull)
	}
	m.up[1].tail = m.up[1].head
	for range upSlots + 7 {
		takeOne(t, m, 0, []byte{0, 8, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	}
	if n := m.loop.counters.QueueFull; n != 7 {
		t.Errorf("%d packets are counted as lost, want 7", n)
	}
}
