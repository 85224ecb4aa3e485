package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loop is an epoll of our own over all connections of a Poller, and the goroutine that waits for it. Go's poller waits for
// the epoll as for any file, and wakes the goroutine once for all connections that have something to read.
type loop struct {
	file *os.File
	raw  syscall.RawConn
	fd   int

	// mu guards conns: the connection of each descriptor.
	mu    sync.Mutex
	conns []*Conn
}

// eventsAtOnce is how many connections are looked at between two looks at the epoll.
const eventsAtOnce = 128

// readable are the events for which a connection is read.
const readable = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	err = unix.SetNonblock(fd, true) // What os.NewFile looks at; an epoll has no other use for it.
	file := os.NewFile(uintptr(fd), "epoll")
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // Fails for a file that Go's poller did not take.
	}
	var raw syscall.RawConn
	if err == nil {
		raw, err = file.SyscallConn()
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("give an epoll to Go's poller: %w", err)
	}
	return &loop{file: file, raw: raw, fd: fd}, nil
}

// stop ends run.
func (l *loop) stop() { _ = l.file.Close() }

// ready is a connection that something has happened to.
type ready struct {
	conn *Conn
	what uint32
}

// run reads from the connections until stop.
func (l *loop) run(p *Poller) {
	buffer := make([]byte, loopBuffer)
	events := make([]unix.EpollEvent, eventsAtOnce)
	found := make([]ready, 0, eventsAtOnce)
	look := func(uintptr) bool {
		found = l.translate(found[:0], tryWait(l.fd, events))
		return len(found) > 0
	}
	for l.raw.Read(look) == nil {
		for i, r := range found {
			found[i] = ready{} // Keeps no connection alive.
			if r.what&unix.EPOLLOUT != 0 {
				r.conn.wire.(*descriptor).roomy()
			}
			if r.what&readable != 0 && r.conn.claim() {
				p.turn(r.conn, buffer, r.what&(readable&^unix.EPOLLIN) != 0, atLoop)
			}
		}
	}
}

func (l *loop) translate(found []ready, events []unix.EpollEvent) []ready {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if c := l.conns[e.Fd]; c != nil { // Nil for one that was closed meanwhile.
			found = append(found, ready{c, e.Events})
		}
	}
	return found
}

// add watches a connection's descriptor.
func (l *loop) add(c *Conn, fd int) error {
	l.mu.Lock()
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	l.mu.Unlock()
	// Edge-triggered: once for each arrival, and for room to write once there was none.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		l.forget(fd)
		return fmt.Errorf("watch a connection: %w", err)
	}
	return nil
}

func (l *loop) forget(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[fd] = nil
}

// descriptor is the wire of a TCP connection that a loop reads. It is taken out of Go's poller, which would wake for each
// arrival besides.
type descriptor struct {
	loop *loop
	fd   int
	// holders are those who use fd, the connection itself among them; who leaves last closes it, so that no number of another
	// file is ever used.
	holders atomic.Int32
	isCut   atomic.Bool
	// room has what wakes a blocked writer; nil before the first.
	room atomic.Pointer[chan struct{}]
}

// takeOver makes a descriptor of a TCP connection, which is closed then; nil leaves it as it is.
func takeOver(l *loop, from net.Conn, to *Conn) *descriptor {
	tcp, ok := from.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	err = raw.Control(func(old uintptr) {
		fd, _ = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || fd < 0 {
		return nil
	}
	d := &descriptor{loop: l, fd: fd}
	d.holders.Store(1)
	to.wire = d // Before the loop can see it.
	if l.add(to, fd) != nil {
		_ = unix.Close(fd)
		return nil
	}
	_ = tcp.Close() // The connection lives on in fd.
	return d
}

func (d *descriptor) hold() bool {
	for {
		n := d.holders.Load()
		if n == 0 {
			return false
		}
		if d.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (d *descriptor) close() {
	if d.holders.Add(-1) == 0 {
		d.loop.forget(d.fd)
		_ = unix.Close(d.fd) // Which takes it out of the epoll.
	}
}

// read is called only by those who keep the connection from being closed.
func (d *descriptor) read(p []byte) (int, error) {
	if d.isCut.Load() {
		return 0, net.ErrClosed
	}
	n, err := tryRead(d.fd, p)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read from the client: %w", err)
	case n == 0:
		return 0, io.EOF
	}
	return max(n, 0), nil
}

func (d *descriptor) tryWrite(p []byte) (int, error) {
	if d.isCut.Load() || !d.hold() {
		return 0, net.ErrClosed
	}
	defer d.close()
	return tryWrite(d.fd, p)
}

func (d *descriptor) write(p []byte) error {
	for len(p) > 0 {
		n, err := d.tryWrite(p)
		if err != nil {
			return err
		}
		p = p[n:]
		if n > 0 {
			continue
		}
		room := d.roomToCome()
		// Again, for room that came before anybody waited for it.
		if n, err = d.tryWrite(p); err != nil {
			return err
		}
		if p = p[n:]; n == 0 {
			<-room
		}
	}
	return nil
}

func (d *descriptor) roomToCome() <-chan struct{} {
	if room := d.room.Load(); room != nil {
		return *room
	}
	room := make(chan struct{}, 1)
	d.room.CompareAndSwap(nil, &room)
	return *d.room.Load()
}

// roomy wakes a blocked writer.
func (d *descriptor) roomy() {
	if room := d.room.Load(); room != nil {
		select {
		case *room <- struct{}{}:
		default:
		}
	}
}

func (d *descriptor) closeWrite() {
	if d.hold() {
		_ = unix.Shutdown(d.fd, unix.SHUT_WR) // A connection that is gone needs none.
		d.close()
	}
}

// cut has the loop see the end, and close.
func (d *descriptor) cut() {
	if d.isCut.Swap(true) {
		return
	}
	if d.hold() {
		_ = unix.Shutdown(d.fd, unix.SHUT_RDWR)
		d.close()
	}
	d.roomy()
}

// ensureLocked has the loop run, and reports whether it does.
func (p *Poller) ensureLocked() bool {
	if p.loop != nil {
		return true
	}
	l, err := newLoop()
	if err != nil {
		return false // Out of descriptors, say: connections get goroutines of their own.
	}
	p.loop = l
	p.tasks.Go(func() { l.run(p) })
	return true
}

// connect chooses the wire of a connection.
func (p *Poller) connectLocked(c *Conn, over net.Conn) {
	if p.ensureLocked() && takeOver(p.loop, over, c) != nil {
		return
	}
	c.wire = newStream(over)
}
