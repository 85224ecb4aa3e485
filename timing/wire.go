package timing

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// MaxWireDatagram is the largest datagram that a [Wire] takes, in bytes: one Ethernet payload, which is more than any
// of our own STUN messages.
const MaxWireDatagram = 1500

// DefaultWireCapacity is how many sends may be pending on a [Wire] whose configuration does not say.
const DefaultWireCapacity = 1024

// MaxWireCapacity is the most sends that may be pending on a wire: two requests each fill the kernel's largest ring
// (IORING_MAX_ENTRIES of Linux's io_uring).
const MaxWireCapacity = 1 << 14

// What SendAt answers, and what a [Sent] carries, besides the system's own errors.
var (
	// ErrWireFull says that as many sends are pending as the wire has places. Nothing waits for one to come free.
	ErrWireFull = errors.New("wire: full")
	// ErrWireClosed says that the wire or the socket was closed before the datagram's instant.
	ErrWireClosed = errors.New("wire: closed")
	// ErrWireCancelled is the outcome of a send that Cancel reached in time.
	ErrWireCancelled = errors.New("wire: cancelled")
	// ErrWireTooLarge says that a datagram exceeds MaxWireDatagram.
	ErrWireTooLarge = errors.New("wire: datagram too large")
	// ErrWireAddress says that the socket cannot reach the kind of address given.
	ErrWireAddress = errors.New("wire: bad address")
)

// WireMode names what makes a datagram leave.
type WireMode string

// The modes of a wire.
const (
	// WireAuto takes the best that the machine allows.
	WireAuto WireMode = ""
	// WireOwnerThread has the kernel send from one thread of ours that waits in it and for nothing else.
	WireOwnerThread WireMode = "owner thread"
	// WireSQPoll has the kernel send from a thread of its own, which polls for new sends: it spins for a while after
	// each one, on a CPU that others then lack.
	WireSQPoll WireMode = "sqpoll"
	// WireClock sends from a callback of the injected clock.
	WireClock WireMode = "clock"
)

// WireConfig says how a wire is to be made. The zero value is the best for most.
type WireConfig struct {
	// Mode is the mode asked for.
	Mode WireMode
	// Capacity is how many sends may be pending at once, DefaultWireCapacity where it is not positive and
	// at most MaxWireCapacity. Each takes about 2 KiB once used.
	Capacity int
	// CPUs are those that the thread which sends may run on; any where it is empty. A number that the machine does not
	// have is told in the report, and the thread runs on any.
	CPUs []int
}

// WireReport says how a wire runs on this machine.
type WireReport struct {
	// Kernel tells whether the kernel sends by itself, with no Go processor needed at the instant.
	Kernel bool
	// Mode is the mode in use.
	Mode WireMode
	// Reason says why the kernel does not send, in words; empty where it does.
	Reason string
	// Policy is the scheduling policy of the thread that sends, "SCHED_FIFO 10" or "SCHED_OTHER"; empty in the clock's
	// mode.
	Policy string
	// Notes are what was asked for and not granted, in words.
	Notes []string
}

// Wire is the tier of timing for prepared datagrams: each leaves its UDP socket at an absolute instant unless it is
// cancelled first. On Linux the kernel executes the send, so that neither a garbage collection nor busy goroutines
// delay it; elsewhere, and where io_uring is refused, a timer of the injected clock does.
//
// It is for datagrams whose content is known ahead: STUN retransmissions, consent checks, keepalives, probes. It is
// not for a stream of media, nor for more than some thousand pending sends. Queue ahead: a send that is handed over
// before its instant is on time whatever Go does meanwhile.
//
// Its methods and those of its sockets and sends are safe for concurrent use.
type Wire struct {
	clock    Clock
	capacity int
	report   WireReport
	executor wireExecutor
	outcomes wireOutcomes

	closing    sync.Once
	closeError error

	// mu guards what follows, each send's changing fields and the executor's calls. No callback runs under it.
	mu      sync.Mutex
	idle    sync.Cond // Signalled when a socket's last pending send is settled.
	sockets map[*WireSocket]struct{}
	pending int
	closed  bool
}

// wireExecutor makes datagrams leave and settles each that it accepted once. Its methods are called with the wire's mu
// held, so they wait for no goroutine.
type wireExecutor interface {
	// submit takes over a send. It does not keep the datagram.
	submit(x *WireSend, datagram []byte, to netip.AddrPort) error
	// collect settles what has ended and was not noticed yet.
	collect()
	// cancel keeps a send from leaving if it is not too late: then, and only then, the send is settled with the reason
	// by the time it returns.
	cancel(x *WireSend, reason error)
	// close ends the executor, which has nothing pending, and waits for what it started. It is called without mu.
	close() error
}

// NewWire makes a wire whose instants are those of the clock. It does not fail: where the kernel cannot send by
// itself, or where the clock is not the machine's own (a manual one), the wire sends from timers of the clock, and
// Report says why. Close it after use.
func NewWire(clock Clock, config WireConfig) *Wire { return newWire(clock, config, openWireExecutor) }

type wireExecutorOpener func(w *Wire, config WireConfig) (wireExecutor, WireReport)

func newWire(clock Clock, config WireConfig, open wireExecutorOpener) *Wire {
	w := &Wire{clock: clock, capacity: config.Capacity, sockets: make(map[*WireSocket]struct{})}
	if w.capacity <= 0 {
		w.capacity = DefaultWireCapacity
	}
	w.capacity = min(w.capacity, MaxWireCapacity)
	w.idle.L = &w.mu
	w.outcomes.start()
	w.executor, w.report = open(w, config)
	return w
}

// Report says how the wire runs. It does not change after NewWire.
func (w *Wire) Report() WireReport { return w.report }

// Close closes every socket of the wire, waits until each completion has been reported, and releases what the kernel
// gave. Pending sends never leave; they complete with ErrWireClosed. It blocks for as long as completion callbacks
// run and must not be called from one.
func (w *Wire) Close() error {
	w.closing.Do(func() { w.closeError = w.shutDown() })
	return w.closeError
}

func (w *Wire) shutDown() error {
	w.mu.Lock()
	w.closed = true
	open := slices.Collect(maps.Keys(w.sockets))
	w.mu.Unlock()
	var problems []error
	for _, s := range open {
		problems = append(problems, s.Close())
	}
	problems = append(problems, w.executor.close())
	w.outcomes.stop()
	return errors.Join(problems...)
}

// Socket makes a socket of the wire out of a UDP connection, whose local address its datagrams carry. The wire holds
// the socket by a descriptor of its own: closing conn neither stops pending sends nor sends them to a stranger, and
// the port stays taken until the WireSocket is closed as well. Reading stays with conn.
func (w *Wire) Socket(conn *net.UDPConn) (*WireSocket, error) {
	endpoint, err := openWireEndpoint(conn)
	if err != nil {
		return nil, fmt.Errorf("wire: take over socket: %w", err)
	}
	s := &WireSocket{wire: w, endpoint: endpoint, pending: make(map[*WireSend]struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.Join(ErrWireClosed, endpoint.close())
	}
	w.sockets[s] = struct{}{}
	return s, nil
}

// WireSocket is a UDP socket on which datagrams leave at their instants.
type WireSocket struct {
	wire     *Wire
	endpoint wireEndpoint

	// Guarded by wire.mu.
	pending map[*WireSend]struct{}
	closed  bool
}

// Close cancels the socket's pending sends, which complete with ErrWireClosed, waits until the kernel has let go of
// each (microseconds) and gives up the wire's hold on the socket. Completions may be reported shortly after it
// returns. It may be called from a completion callback.
func (s *WireSocket) Close() error {
	w := s.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for x := range s.pending {
		x.cancelLocked(ErrWireClosed)
	}
	for len(s.pending) > 0 {
		w.idle.Wait()
	}
	delete(w.sockets, s)
	return s.endpoint.close()
}

// SendAt has the datagram leave for the address at an instant; one that has passed leaves at once, one at Never stays
// pending. It copies the datagram, which stays the caller's, and does not wait for anything but other calls of the
// same wire. Datagrams that the kernel has in time leave in the order of their instants.
//
// done, unless nil, is called exactly once, with the outcome, on the goroutine that serves all completions of the wire
// one after another: it may call the wire, but whatever it waits for delays the others. It is not called when SendAt
// returns an error: ErrWireFull, ErrWireClosed, ErrWireTooLarge, ErrWireAddress or the system's own.
func (s *WireSocket) SendAt(at Instant, datagram []byte, to netip.AddrPort, done func(Sent)) (*WireSend, error) {
	if len(datagram) > MaxWireDatagram {
		return nil, fmt.Errorf("%w: %d bytes", ErrWireTooLarge, len(datagram))
	}
	if err := s.endpoint.reaches(to); err != nil {
		return nil, err
	}
	w := s.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.closed {
		return nil, ErrWireClosed
	}
	if w.fullLocked() {
		return nil, ErrWireFull
	}
	x := &WireSend{socket: s, due: at, done: done}
	if err := w.executor.submit(x, datagram, to); err != nil {
		return nil, err
	}
	s.pending[x] = struct{}{}
	w.pending++
	return x, nil
}

func (w *Wire) fullLocked() bool {
	if w.pending >= w.capacity {
		w.executor.collect()
	}
	return w.pending >= w.capacity
}

// WireSend is one datagram on its way.
type WireSend struct {
	socket *WireSocket
	due    Instant
	done   func(Sent)

	// Guarded by wire.mu. settled tells that the executor has let go, kept that it did so without sending.
	settled, kept bool

	// The executor's own: its timer; or what the kernel knows the send by and why it was last to be cancelled.
	timer  Timer
	ticket uint64
	reason error
}

// Cancel keeps the datagram from leaving. It reports true exactly when the datagram was not, and will not be, handed
// to the network: its completion then carries ErrWireCancelled (ErrWireClosed where closing came first). False says
// that its instant had come; what the network made of it is in the completion. Called again it answers the same.
//
// The answer is the kernel's, for which Cancel waits: microseconds, for one switch to the thread that sends and back. It
// waits for no goroutine and for no network.
func (x *WireSend) Cancel() bool {
	w := x.socket.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	return x.cancelLocked(ErrWireCancelled)
}

func (x *WireSend) cancelLocked(reason error) bool {
	if !x.settled {
		x.socket.wire.executor.cancel(x, reason)
	}
	return x.kept
}

// Sent is the outcome of a send.
type Sent struct {
	// Due is the instant asked for.
	Due Instant
	// At is when the wire learnt of the outcome. The datagram left between Due and At; where Go was busy, At comes well
	// after.
	At Instant
	// Err is nil when the network took the datagram, ErrWireCancelled or ErrWireClosed when it was kept back, otherwise
	// the system's reason.
	Err error
}

// settleLocked ends a send that the executor has let go of.
func (w *Wire) settleLocked(x *WireSend, err error) {
	x.settled = true
	x.kept = errors.Is(err, ErrWireCancelled) || errors.Is(err, ErrWireClosed)
	w.pending--
	delete(x.socket.pending, x)
	if len(x.socket.pending) == 0 {
		w.idle.Broadcast()
	}
	if x.done != nil {
		w.outcomes.add(x.done, Sent{Due: x.due, At: w.clock.Now(), Err: err})
	}
}
