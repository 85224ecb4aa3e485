//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// order says what the generator is to do.
type order struct {
	Address   netip.AddrPort `json:"address"`
	Protocol  string         `json:"protocol"`
	Conns     int            `json:"conns"`
	Rate      int            `json:"rate"`
	Heartbeat time.Duration  `json:"heartbeat_ns"`
	WarmUp    time.Duration  `json:"warm_up_ns"`
	Window    time.Duration  `json:"window_ns"`
}

// connected is the generator's first answer.
type connected struct {
	TookNS int64 `json:"took_ns"`
	P99NS  int64 `json:"p99_ns"`
}

// measured is its last; between them it says an empty object when the window begins.
type measured struct {
	WindowNS int64 `json:"window_ns"`
	// Asked and RoundTrips count the requests of the window and those of them that were answered, Messages what clients
	// received of each other, Beats the server's pings, Lost the connections that ended by then.
	Asked      int64  `json:"asked"`
	RoundTrips int64  `json:"round_trips"`
	Messages   int64  `json:"messages"`
	Beats      int64  `json:"beats"`
	Lost       int    `json:"lost"`
	LostWhy    string `json:"lost_why,omitempty"`
	P50NS      int64  `json:"p50_ns"`
	P95NS      int64  `json:"p95_ns"`
	P99NS      int64  `json:"p99_ns"`
}

const (
	// connectsAtOnce is how many connections are under way at a time.
	connectsAtOnce = 64
	// connectPatience bounds the connecting as a whole, answerPatience the wait for the last answers.
	connectPatience, answerPatience = 2 * time.Minute, time.Second
	// sendsAtOnce bounds what is sent between two looks at what has come.
	sendsAtOnce = 64
)

// generator is many clients on one thread around epoll: what it costs is not the server's.
type generator struct {
	order
	dialect dialect
	clock   timing.Runtime
	poll    int
	timer   int
	armed   timing.Instant
	buffer  []byte
	events  []unix.EpollEvent

	clients                  []client
	ready, partnered, failed int
	why                      error
	connectTimes             []int64
	// told is true once the parent has said go.
	told bool

	// beat is the frame of a client's heartbeat, nil for none; beatOf is whose turn is at nextBeat.
	beat     []byte
	beatOf   int
	nextBeat timing.Instant
	// asker's turn is at nextAsk, Never before the load begins.
	asker   int
	nextAsk timing.Instant

	// from and until are the window.
	from, until timing.Instant
	result      measured
	roundTrips  []int64
}

// Generate is the process that makes the load: it reads an order, connects, answers, waits for a byte, makes the load
// and answers again. It blocks for as long as that takes and ends early with in.
func Generate(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	debug.SetGCPercent(1000) // The frames are made beforehand; what is left should not interrupt.
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("%s is started by `tourbillon bench signaling` alone: read the order: %w", GenerateCommand, err)
	}
	g, err := newGenerator(o)
	if err != nil {
		return err
	}
	defer g.close()
	answers := json.NewEncoder(out)
	if err := g.connect(); err != nil {
		return err
	}
	if err := answers.Encode(g.connectedAnswer()); err != nil {
		return err
	}
	if err := g.hold(in); err != nil {
		return err
	}
	return g.load(answers)
}

func newGenerator(o order) (*generator, error) {
	g := &generator{
		order: o, dialect: dialectOf(o.Protocol), buffer: make([]byte, 64<<10), events: make([]unix.EpollEvent, 256),
		clients: make([]client, o.Conns), nextBeat: timing.Never, nextAsk: timing.Never, from: timing.Never, until: timing.Never,
		roundTrips: make([]int64, 0, int(o.Window.Seconds()+1)*o.Rate),
	}
	if beat := g.dialect.beat(); beat != nil {
		g.beat = clientFrame(opText, beat)
	}
	var err error
	if g.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("make a timer: %w", err), unix.Close(g.poll))
	}
	return g, g.watch(g.timer, atTimer)
}

// What epoll says of descriptors that are no client's.
const (
	atTimer = -1
	atInput = -2
)

func (g *generator) watch(fd, whose int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(whose)}
	if err := unix.EpollCtl(g.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch a descriptor: %w", err)
	}
	return nil
}

func (g *generator) close() {
	for i := range g.clients {
		if g.clients[i].fd > 0 {
			_ = unix.Close(g.clients[i].fd)
		}
	}
	_ = unix.Close(g.timer)
	_ = unix.Close(g.poll)
}

// connect opens all connections and waits until every pair has found together.
func (g *generator) connect() error {
	deadline := g.clock.Now().Add(connectPatience)
	for opened := 0; g.ready < g.Conns || g.partnered < g.Conns; {
		for opened < g.Conns && opened-g.ready < connectsAtOnce {
			if err := g.open(opened); err != nil {
				return err
			}
			opened++
		}
		if err := g.step(deadline); err != nil {
			return err
		}
		switch {
		case g.failed > 0:
			return fmt.Errorf("after %d connections: %w", g.ready, g.why)
		case g.clock.Now() >= deadline:
			return fmt.Errorf("%d of %d connections after %v", g.ready, g.Conns, connectPatience)
		}
	}
	return nil
}

func (g *generator) open(i int) (err error) {
	c := &g.clients[i]
	c.began = g.clock.Now()
	if c.fd, err = dial(g.Address); err != nil {
		return err
	}
	if err := g.watch(c.fd, i); err != nil {
		return err
	}
	return c.write(handshake(g.Address, first(g.dialect.path(i)), second(g.dialect.path(i))))
}

func first(a, _ string) string  { return a }
func second(_, b string) string { return b }

func (g *generator) connectedAnswer() connected {
	took := g.clock.Now().Sub(g.clients[0].began)
	slices.Sort(g.connectTimes)
	return connected{TookNS: int64(took), P99NS: perMille(g.connectTimes, 990)}
}
