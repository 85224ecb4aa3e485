package relay

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"tourbillon/timing/kernel"
)

// Options are what a plane is told.
type Options struct {
	// Loops is how many loops share the clients, each on a thread of its own. Default: one for each CPU, or for each
	// processor of Go where those are fewer.
	Loops int
	// MinWait is how long a loop may wait for more packets once it waits, 0 for not at all.
	MinWait time.Duration
	// WithoutRing has the loops use epoll where io_uring would be there.
	WithoutRing bool
	// BindingsPerSecond and ChallengesPerSecond bound the replies to one source, a /32 or a /64; 0 bounds nothing.
	BindingsPerSecond, ChallengesPerSecond int
	// BytesPerSecond bounds the payload that all relays together send, 0 not at all.
	BytesPerSecond int
}

// Plane is a running data plane. Its methods are safe for concurrent use.
type Plane struct {
	loops  []*Loop
	shared *shared
	mapped []byte // shared
	notes  []string
	turn   atomic.Uint32 // of the loop for the next stream

	using  sync.RWMutex // held shared to use the memory from Go; guards what follows
	closed bool
	final  Counters // what they were at the end
}

// Open starts the loops. The caller closes the plane after everything that it opened on it.
func Open(o Options) (*Plane, error) {
	if o.Loops == 0 {
		o.Loops = min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	}
	at, mapped, err := mapMemory(unsafe.Sizeof(shared{}))
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	p := &Plane{shared: (*shared)(at), mapped: mapped}
	p.shared.bandwidth.cost = cost(o.BytesPerSecond)
	p.shared.seed = newSeed()
	p.shared.sources[BindingReply].limit(o.BindingsPerSecond)
	p.shared.sources[ChallengeReply].limit(o.ChallengesPerSecond)
	for range o.Loops {
		l, err := openLoop(p, o)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("relay: %w", err), p.Close())
		}
		p.loops = append(p.loops, l)
		if l.note != "" {
			p.notes = append(p.notes, l.note)
		}
	}
	return p, nil
}

// Notes tell in words what the machine did not allow.
func (p *Plane) Notes() []string { return p.notes }

// Loops are the plane's loops.
func (p *Plane) Loops() []*Loop { return p.loops }

// Close ends the loops and waits for their threads. Sockets that are still open end with them.
func (p *Plane) Close() error {
	for _, l := range p.loops {
		l.stop()
	}
	final := p.Counters()
	p.using.Lock()
	p.closed, p.final = true, final
	p.using.Unlock()
	var problems []error
	for _, l := range p.loops {
		problems = append(problems, l.release())
	}
	return errors.Join(append(problems, unmap(p.mapped))...)
}

// Live tells whether a port of an announced address is a relay of ours; set numbers the address, 0 or 1. Flows that
// depend on it see it with their next packet.
func (p *Plane) Live(set int, port uint16, live bool) {
	p.using.RLock()
	defer p.using.RUnlock()
	if p.closed {
		return
	}
	value := uint32(0)
	if live {
		value = 1
	}
	atomic.StoreUint32(&p.shared.live[set%livenessSets][port], value)
}

// Counters sums what the loops counted; after Close, what they had counted then.
func (p *Plane) Counters() (sum Counters) {
	p.using.RLock()
	defer p.using.RUnlock()
	if p.closed {
		return p.final
	}
	for _, l := range p.loops {
		sum.add(l.m.loop.counters.read())
	}
	return sum
}

// Loop is one loop of a plane.
type Loop struct {
	plane  *Plane
	m      *memory
	mapped []byte
	ring   *kernel.Ring
	note   string
	thread sync.WaitGroup
	ups    [maxSinks]*up // of relays, of streams, and of each listener
	sinks  int

	mu      sync.Mutex // guards what follows, and is held while a command is given
	sockets map[uint32]*handle
	free    []uint32
	top     uint32
	closed  bool
	streams int      // among sockets
	reaped  uint32   // of the sockets that the loop has freed
	spare   [][]byte // memory of streams that have ended

	unkicked atomic.Bool // a command waits for a kick, which whoever rests next gives
}

// handle is Go's side of a socket of the loop.
type handle struct {
	loop       *Loop
	index      uint32
	generation uint32
	relay      *Relay  // nil for others
	stream     *Stream // nil for others
	fd         int
	family     int
	once       sync.Once
	ended      chan struct{} // closed when the loop has let go of the socket
	writing    sync.RWMutex  // held shared to use fd, and to close it
	gone       bool          // fd is closed
}

// end has the loop let go of the socket, which is closed when it has.
func (h *handle) end() { h.once.Do(func() { h.loop.remove(h.index) }) }

// sendTo sends a datagram from Go, from an address of this host if that is valid. A full socket loses it.
func (h *handle) sendTo(p []byte, to netip.AddrPort, local netip.Addr) error {
	var name [nameBytes]byte
	var control [controlBytes / 8]uint64
	length := sockaddr(to, h.family, &name)
	controlLength := sourceControl(local, h.family, &control)
	h.writing.RLock()
	defer h.writing.RUnlock()
	if h.gone {
		return net.ErrClosed
	}
	if controlLength != 0 {
		return sendFrom(h.fd, p, &name, length, &control, controlLength)
	}
	return sendRaw(h.fd, p, &name, length)
}

func openLoop(p *Plane, o Options) (*Loop, error) {
	at, mapped, err := mapMemory(unsafe.Sizeof(memory{}))
	if err != nil {
		return nil, err
	}
	l := &Loop{plane: p, m: (*memory)(at), mapped: mapped, sockets: make(map[uint32]*handle), top: kickSocket + 1}
	l.prepare(o)
	if err := l.openDescriptors(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	started := make(chan error, 1)
	l.thread.Go(func() { l.run(o, started) })
	if err := <-started; err != nil {
		l.thread.Wait()
		return nil, errors.Join(err, l.release())
	}
	l.thread.Go(l.serveRelays)
	l.thread.Go(l.serveStreams)
	return l, nil
}

// prepare sets what does not change.
func (l *Loop) prepare(o Options) {
	s := &l.m.loop
	s.seed = newSeed()
	s.shared = l.plane.shared
	s.wait = waitArg{minWait: uint32(o.MinWait.Microseconds())}
	s.minBatch = waitBatch
}

// limit sets how many replies a second a source gets, which is also how many at once.
func (l *sourceLimit) limit(perSecond int) {
	if perSecond > 0 {
		l.cost, l.burst = uint64(time.Second)/uint64(perSecond), uint64(time.Second)
	}
}

func newSeed() (seed [3]uint64) {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // It does not fail (crypto/rand).
	for i := range seed {
		seed[i] = binary.NativeEndian.Uint64(raw[8*i:])
	}
	return seed
}

// waitBatch is how many completions end a wait before its least time is over.
const waitBatch = 32

// run is the loop's thread.
func (l *Loop) run(o Options, started chan<- error) {
	// Never unlocked, so that the thread ends with the goroutine: the ring belongs to it.
	runtime.LockOSThread()
	kernel.ShortenSlice() // Refused, a packet waits for the CPU as any thread does.
	if !o.WithoutRing {
		var err error
		if l.ring, err = openRing(l.m); err != nil {
			l.note = "relaying without io_uring: " + err.Error()
		}
	}
	if err := l.watchKick(); err != nil {
		started <- err
		return
	}
	started <- nil
	serve(l.m)
}

// stop ends the loop and waits for its thread. It is not called twice.
func (l *Loop) stop() {
	l.closeSockets()
	l.mu.Lock()
	l.command(command{op: commandStop})
	l.mu.Unlock()
	l.kick()
	l.ups[sinkRelays].close()
	l.ups[sinkStreams].close()
	l.thread.Wait()
}

// closeSockets ends the sockets that are still open and waits until the loop has let go of all, since one that the
// kernel still reads keeps its port.
func (l *Loop) closeSockets() {
	l.mu.Lock()
	l.closed = true
	open := make([]*handle, 0, len(l.sockets))
	for _, h := range l.sockets {
		open = append(open, h)
	}
	l.mu.Unlock()
	for _, h := range open {
		h.end()
	}
	for _, h := range open {
		<-h.ended
	}
}
