//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
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

// errOrphan says that the parent is gone.
var errOrphan = errors.New("the measuring process's parent has ended")

// hold lets the heartbeats run until the parent sends a byte.
func (g *generator) hold(in io.Reader) error {
	if g.beat != nil {
		g.nextBeat = g.clock.Now().Add(g.beatGap())
	}
	file, ok := in.(*os.File)
	if !ok {
		return errors.New("the generator's input has to be a file, to be waited for")
	}
	if err := g.watch(int(file.Fd()), atInput); err != nil {
		return err
	}
	for !g.told {
		if err := g.step(timing.Never); err != nil {
			return err
		}
	}
	return nil
}

// beatGap is the time between two clients' heartbeats, which are spread evenly.
func (g *generator) beatGap() time.Duration { return max(g.Heartbeat/time.Duration(g.Conns), 1) }

// load makes the load: a warm-up, the window, and a moment for the last answers.
func (g *generator) load(answers *json.Encoder) error {
	begin := g.clock.Now()
	g.from, g.until = begin.Add(g.WarmUp), begin.Add(g.WarmUp+g.Window)
	if g.Rate > 0 {
		g.nextAsk = begin.Add(g.askGap())
	}
	if err := g.steps(g.from); err != nil {
		return err
	}
	if err := answers.Encode(struct{}{}); err != nil {
		return err
	}
	if err := g.steps(g.until); err != nil {
		return err
	}
	g.nextAsk = timing.Never
	g.result.WindowNS = int64(g.Window)
	g.result.Lost = g.failed
	for end := g.until.Add(answerPatience); g.result.RoundTrips < g.result.Asked && g.clock.Now() < end; {
		if err := g.step(end); err != nil {
			return err
		}
	}
	slices.Sort(g.roundTrips)
	g.result.P50NS, g.result.P95NS, g.result.P99NS = perMille(g.roundTrips, 500), perMille(g.roundTrips, 950), perMille(g.roundTrips, 990)
	if g.why != nil {
		g.result.LostWhy = g.why.Error()
	}
	return answers.Encode(g.result)
}

func (g *generator) askGap() time.Duration { return time.Second / time.Duration(g.Rate) }

func (g *generator) steps(until timing.Instant) error {
	for g.clock.Now() < until {
		if err := g.step(until); err != nil {
			return err
		}
	}
	return nil
}

// step sends what is due, waits for what comes, at most until an instant, and takes it.
func (g *generator) step(until timing.Instant) error {
	g.sendDue(g.clock.Now())
	if err := g.arm(min(until, g.nextAsk, g.nextBeat)); err != nil {
		return err
	}
	n, err := unix.EpollWait(g.poll, g.events, -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, e := range g.events[:max(n, 0)] {
		switch e.Fd {
		case atTimer:
			var fires [8]byte
			_, _ = unix.Read(g.timer, fires[:])
		case atInput:
			if err := g.takeInput(); err != nil {
				return err
			}
		default:
			g.take(int(e.Fd))
		}
	}
	return nil
}

// takeInput reads the parent's word, after which its end alone matters.
func (g *generator) takeInput() error {
	var word [16]byte
	n, err := unix.Read(int(os.Stdin.Fd()), word[:])
	if n <= 0 && !errors.Is(err, unix.EINTR) {
		return errOrphan
	}
	g.told = true
	return nil
}

// arm sets the timer, unless it stands there already.
func (g *generator) arm(at timing.Instant) error {
	if at == g.armed {
		return nil
	}
	g.armed = at
	spec := unix.ItimerSpec{}
	if at != timing.Never {
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	if err := unix.TimerfdSettime(g.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("set the timer: %w", err)
	}
	return nil
}

func (g *generator) sendDue(now timing.Instant) {
	for range sendsAtOnce {
		switch {
		case g.nextBeat <= now && g.nextBeat <= g.nextAsk:
			g.send(g.beatOf, g.beat)
			g.beatOf = (g.beatOf + 1) % g.Conns
			g.nextBeat = g.nextBeat.Add(g.beatGap())
		case g.nextAsk <= now:
			g.ask()
			g.nextAsk = g.nextAsk.Add(g.askGap())
		default:
			return
		}
	}
}

func (g *generator) ask() {
	i := g.asker
	g.asker = (g.asker + 1) % g.Conns
	c := &g.clients[i]
	if c.fd <= 0 {
		return
	}
	now := g.clock.Now()
	stampNote(c.note, c.kindAt, kindAsk, now)
	if g.inWindow(now) {
		g.result.Asked++
	}
	g.send(i, c.note)
}

func (g *generator) inWindow(at timing.Instant) bool { return at >= g.from && at < g.until }

func (g *generator) send(i int, frame []byte) {
	if c := &g.clients[i]; c.fd > 0 {
		if err := c.write(frame); err != nil {
			g.fail(i, err)
		}
	}
}

// fail gives a connection up. The first reason is kept.
func (g *generator) fail(i int, why error) {
	c := &g.clients[i]
	_ = unix.Close(c.fd) // Which takes it out of the epoll.
	c.fd = -1
	g.failed++
	if g.why == nil {
		g.why = fmt.Errorf("connection %d: %w", i, why)
	}
}

// take reads what has come for a client.
func (g *generator) take(i int) {
	c := &g.clients[i]
	if c.fd <= 0 {
		return
	}
	data, err := c.read(g.buffer)
	if err == nil && len(data) > 0 {
		err = g.takeData(i, data)
	}
	if err != nil {
		g.fail(i, err)
	}
}

func (g *generator) takeData(i int, data []byte) (err error) {
	c := &g.clients[i]
	if !c.open {
		if data, c.open, err = readHandshake(data); err != nil || !c.open {
			c.keep(data)
			return err
		}
		if join := g.dialect.join(i); join != nil {
			if err := c.write(clientFrame(opText, join)); err != nil {
				return err
			}
		}
	}
	for {
		opcode, payload, rest, ok, err := serverFrame(data)
		if err != nil || !ok {
			c.keep(data)
			return err
		}
		if err := g.takeFrame(i, opcode, payload); err != nil {
			return err
		}
		data = rest
	}
}

func (g *generator) takeFrame(i int, opcode byte, payload []byte) error {
	c := &g.clients[i]
	switch opcode {
	case opText:
		return g.takeText(i, payload)
	case opPing:
		return c.write(clientFrame(opPong, payload))
	case opClose:
		return fmt.Errorf("%w: %.100q", errGone, payload)
	}
	return nil
}

func (g *generator) takeText(i int, text []byte) error {
	c := &g.clients[i]
	what, word, reply := g.dialect.hear(i, text)
	switch what {
	case isNote:
		return g.takeNote(c, text)
	case isPing:
		if g.inWindow(g.clock.Now()) {
			g.result.Beats++
		}
		return c.write(clientFrame(opText, reply))
	case isReady:
		c.ready = true
		g.ready++
		g.connectTimes = append(g.connectTimes, int64(g.clock.Now().Sub(c.began)))
		g.partner(c, word)
	case hasPartner:
		g.partner(c, word)
	case isRefusal:
		return fmt.Errorf("the server refused: %.300s", word)
	}
	return nil
}

func (g *generator) partner(c *client, id string) {
	if id != "" && c.note == nil {
		c.note, c.kindAt = noteFrame(g.dialect, id)
		g.partnered++
	}
}

func (g *generator) takeNote(c *client, text []byte) error {
	kind, asked, ok := readNote(text)
	if !ok {
		return fmt.Errorf("a note came changed: %.300q", text)
	}
	now := g.clock.Now()
	if g.inWindow(now) {
		g.result.Messages++
	}
	if kind == kindAsk {
		stampNote(c.note, c.kindAt, kindReply, asked)
		return c.write(c.note)
	}
	if g.inWindow(asked) {
		g.result.RoundTrips++
		g.roundTrips = append(g.roundTrips, int64(now.Sub(asked)))
	}
	return nil
}
