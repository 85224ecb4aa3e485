package bench

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// generateStreams carries out a workload whose clients come over TCP or TLS: a goroutine reads each connection, one
// writes to all of them when they are due, and a thread echoes behind the relay.
func generateStreams(w workload) (o outcome, err error) {
	g := &streams{workload: w, peer: -1}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.openEcho(); err != nil {
		return o, fmt.Errorf("set up the echo: %w", err)
	}
	o.Echo = g.Peer
	if err := g.dial(); err != nil {
		return o, fmt.Errorf("set up the clients: %w", err)
	}
	if err := g.measure(&o); err != nil {
		return o, err
	}
	if w.AllocateFor > 0 {
		err = o.count(w, g.countAllocations)
	}
	return o, err
}

type streams struct {
	workload
	peer  int     // the echo's socket, -1 for a relayed one
	via   *stream // the relayed echo's connection, else nil
	conns []*stream

	quit       atomic.Bool
	tasks      sync.WaitGroup
	from, till atomic.Int64

	mu      sync.Mutex // guards samples
	samples *samples
	receipt atomic.Int64
}

// stream is one client's connection.
type stream struct {
	net.Conn
	reader  *bufio.Reader
	session session
	open    atomic.Int64
	heard   atomic.Int64
}

func (g *streams) connect() (*stream, error) {
	raw, err := net.Dial("tcp", g.Server.String())
	if err != nil {
		return nil, err
	}
	if g.Transport == "tls" {
		// The server is a child of ours, or one that the operator named: it is measured, not trusted with anything.
		raw = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // See above.
	}
	return &stream{
		Conn: raw, reader: bufio.NewReaderSize(raw, 64<<10),
		session: session{login: g.Login, peer: g.Peer, channel: firstChannel},
	}, nil
}

// bring takes a connection to a step.
func (s *stream) bring(goal step) error {
	for s.session.step < goal {
		request, err := s.session.request()
		if err != nil {
			return err
		}
		if _, err := s.Write(request); err != nil {
			return err
		}
		frame, err := s.frame()
		if err != nil {
			return err
		}
		if _, err := s.session.answer(frame); err != nil {
			return err
		}
	}
	return nil
}

// frame reads one STUN message or ChannelData message with its padding (RFC 8656 12.5).
func (s *stream) frame() ([]byte, error) {
	head, err := s.reader.Peek(channelHeader)
	if err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if head[0] < 0x40 {
		size += 20
	} else {
		size = channelHeader + (size+3)&^3
	}
	frame := make([]byte, size)
	_, err = io.ReadFull(s.reader, frame)
	return frame, err
}

func (g *streams) dial() error {
	for range g.Clients {
		s, err := g.connect()
		if err != nil {
			return err
		}
		g.conns = append(g.conns, s)
		if err := s.bring(stepReady); err != nil {
			return err
		}
	}
	return nil
}

// countAllocations makes connections that allocate and release until an instant, and returns how many.
func (g *streams) countAllocations(limit int64) (made int, err error) {
	for now() < limit {
		s, err := g.connect()
		if err != nil {
			return 0, err
		}
		err = s.bring(stepBind)
		if err == nil {
			s.session.step = stepRelease
			err = s.bring(stepReleased)
		}
		if err = errors.Join(err, s.Close()); err != nil {
			return 0, err
		}
		made++
	}
	return made, nil
}

func (g *streams) close() error {
	g.hangUp()
	if g.peer < 0 {
		return nil
	}
	return closing(g.peer, nil)
}

// hangUp ends the connections, and so the goroutines.
func (g *streams) hangUp() {
	g.quit.Store(true)
	if g.via != nil {
		_ = g.via.Close()
	}
	for _, s := range g.conns {
		_ = s.Close() // Its reader ends; the outcome stands.
	}
	g.tasks.Wait()
}

func (g *streams) measure(o *outcome) error {
	g.samples = newSamples(len(g.conns), g.expected())
	g.from.Store(1<<63 - 1)
	g.till.Store(1<<63 - 1)
	endEcho, err := g.startEcho()
	if err != nil {
		return err
	}
	defer func() { g.hangUp(); endEcho() }()
	for i, s := range g.conns {
		g.tasks.Go(func() { g.read(i, s) })
	}
	pace := newStreamPacer(g)
	start := now()
	if _, err := pace.writeUntil(start + int64(g.WarmUp)); err != nil {
		return err
	}
	before, err := readMeters(g.PID)
	if err != nil {
		return err
	}
	g.from.Store(before.at)
	sent, err := pace.writeUntil(before.at + int64(g.Window))
	if err != nil {
		return err
	}
	after, err := readMeters(g.PID)
	if err != nil {
		return err
	}
	g.till.Store(after.at)
	pause(int64(drain))
	g.report(o, before, after, sent)
	return nil
}

func (g *streams) expected() int {
	if g.Rate == 0 {
		return maxSamples
	}
	return int(g.Window.Seconds()*float64(g.Rate*g.Clients)) + g.Clients
}

func (g *streams) report(o *outcome, before, after meters, sent int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.Sent, o.Received = sent, g.receipt.Load()
	o.Seconds = float64(after.at-before.at) / 1e9
	o.CPU, o.Own, o.RSS = after.server-before.server, after.own-before.own, after.rss
	o.RTTP50, o.RTTP99 = perMille(g.samples.rtt, 500), perMille(g.samples.rtt, 990)
	o.JitterP99 = perMille(g.samples.jitter, 990)
}

// read records what comes back to one client, until its connection ends.
func (g *streams) read(i int, s *stream) {
	for {
		frame, err := s.frame()
		if err != nil {
			return
		}
		if len(frame) < channelHeader+messageHeader || frame[0]&0xC0 != 0x40 {
			continue
		}
		at := now()
		sent, _ := header(frame[channelHeader:])
		s.open.Add(-1)
		s.heard.Store(at)
		if sent >= g.from.Load() && sent < g.till.Load() {
			g.receipt.Add(1)
			g.mu.Lock()
			g.samples.add(i, at-sent)
			g.mu.Unlock()
		}
	}
}

// streamPacer writes the clients' messages when they are due.
type streamPacer struct {
	g        *streams
	interval int64
	due      []int64
	frame    []byte
}

func newStreamPacer(g *streams) *streamPacer {
	p := &streamPacer{g: g, due: make([]int64, len(g.conns)), frame: make([]byte, channelHeader+(g.Size+3)&^3)}
	binary.BigEndian.PutUint16(p.frame, firstChannel)
	binary.BigEndian.PutUint16(p.frame[2:], uint16(g.Size))
	if g.Rate > 0 {
		p.interval = int64(1e9) / int64(g.Rate)
		for i, start := 0, now(); i < len(p.due); i++ {
			p.due[i] = start + p.interval*int64(i)/int64(len(p.due))
		}
	}
	return p
}

// writeUntil writes until an instant and returns how many messages it sent.
func (p *streamPacer) writeUntil(end int64) (sent int64, err error) {
	for at := now(); at < end; at = now() {
		next := end
		for i, s := range p.g.conns {
			for p.wants(i, s, at) {
				putHeader(p.frame[channelHeader:], at, i)
				if _, err := s.Write(p.frame); err != nil {
					return sent, fmt.Errorf("write to the server: %w", err)
				}
				s.open.Add(1)
				sent++
			}
			if p.interval > 0 {
				next = min(next, p.due[i])
			}
		}
		if p.interval == 0 {
			next = at + int64(100*time.Microsecond)
		}
		pause(next - now())
	}
	return sent, nil
}

// wants tells whether a client is to send now, and if so moves its next instant on.
func (p *streamPacer) wants(i int, s *stream, at int64) bool {
	if p.interval == 0 {
		return s.open.Load() < int64(p.g.InFlight)
	}
	if p.due[i] > at {
		return false
	}
	p.due[i] += p.interval
	return true
}
