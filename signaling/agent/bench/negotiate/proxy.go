package negotiate

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"tourbillon/timing"
)

// proxy delays TCP connections both ways.
type proxy struct {
	clock    timing.Clock
	delay    time.Duration
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex // Guards what follows.
	conns  []net.Conn
	closed bool
}

func openProxy(clock timing.Clock, delay time.Duration, target string) (*proxy, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the delayed way to signaling: %w", err)
	}
	p := &proxy{clock: clock, delay: delay, target: target, listener: listener}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		if !p.keep(near, far) {
			continue
		}
		p.running.Go(func() { p.pipe(near, far) })
		p.running.Go(func() { p.pipe(far, near) })
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	}
	p.conns = append(p.conns, conns...)
	return true
}

// chunk is bytes that are due at the other end; nil is the end of them.
type chunk struct {
	due  timing.Instant
	data []byte
}

// maxChunks is how many chunks are under way one way; a sender of more waits.
const maxChunks = 1024

// pipe sends on what comes until either end closes, then closes both.
func (p *proxy) pipe(from, to net.Conn) {
	chunks := make(chan chunk, maxChunks)
	var writing sync.WaitGroup
	writing.Go(func() { p.write(to, chunks) })
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			chunks <- chunk{p.clock.Now().Add(p.delay), slices.Clone(buffer[:n])}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	writing.Wait()
	_, _ = from.Close(), to.Close()
}

func (p *proxy) write(to net.Conn, chunks <-chan chunk) {
	alarm := newAlarm(p.clock)
	defer alarm.stop()
	var failed error
	for c := range chunks {
		for failed == nil && p.clock.Now() < c.due {
			alarm.set(c.due)
			<-alarm.rung
		}
		if failed == nil {
			_, failed = to.Write(c.data)
		}
	}
}

func (p *proxy) close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	conns := p.conns
	p.mu.Unlock()
	for _, c := range conns {
		if closed := c.Close(); !errors.Is(closed, net.ErrClosed) {
			err = errors.Join(err, closed)
		}
	}
	p.running.Wait()
	return err
}
