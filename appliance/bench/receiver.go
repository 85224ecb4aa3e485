//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// The receiver of the arms that send.
const (
	// receiveBuffer is asked for without the system's limit first, then within it. It has to hold what arrives while the
	// receiver's thread waits for a Go processor.
	receiveBuffer = 64 << 20
	// receiveSeldom is how often the receiver looks at most. The stamps are the kernel's, so that it need not look soon,
	// and each look wakes Go's poller, which then sleeps a shorter while before the next timer. The period is prime to
	// the usual intervals, lest it be always the same timers that profit.
	receiveSeldom = 97 * time.Millisecond
	// datagramCost is what a datagram takes of the buffer with the kernel's bookkeeping, generously.
	datagramCost = 1024
	// markLength is the size of a datagram: the timer's index and the deadline's number.
	markLength = 8
	// stampSpace holds the control message that carries the stamp.
	stampSpace = 64
)

func putMark(datagram []byte, timer, deadline int) {
	binary.BigEndian.PutUint32(datagram, uint32(timer))
	binary.BigEndian.PutUint32(datagram[4:], uint32(deadline))
}

// receiver takes the datagrams of an arm and records for each deadline when the receiving kernel stamped its datagram.
type receiver struct {
	fd    int
	local netip.AddrPort
	clock timing.Clock
	pacer *pacer
	// thread is the kernel's number of the receiver's thread, 0 before start.
	thread atomic.Int64
	ended  chan struct{}
	// err is what ended the receiver, readable after ended is closed.
	err error
}

func newReceiver() (*receiver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make the receiver's socket: %w", err)
	}
	r := &receiver{fd: fd, clock: timing.Runtime{}, ended: make(chan struct{})}
	if err := r.configure(); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the receiver's socket: %w", err), unix.Close(fd))
	}
	if r.pacer, err = newPacer(); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return r, nil
}

func (r *receiver) configure() error {
	if unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if err := unix.Bind(r.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	bound, err := unix.Getsockname(r.fd)
	if err != nil {
		return err
	}
	r.local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(bound.(*unix.SockaddrInet4).Port))
	return nil
}

// start begins to receive for a grid, on a thread of its own.
func (r *receiver) start(g *grid) {
	ready := make(chan struct{})
	go func() {
		defer close(r.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r.thread.Store(int64(unix.Gettid()))
		close(ready)
		r.err = r.receive(g)
	}()
	<-ready
}

// receive ends when close makes waiting fail.
func (r *receiver) receive(g *grid) error {
	buffer, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return fmt.Errorf("read the size of the buffer: %w", err)
	}
	period := receivePeriod(buffer, len(g.timers), g.timers[0].interval)
	for due := r.clock.Now(); r.pacer.waitUntil(due) == nil; {
		if err := r.drain(g); err != nil {
			return err
		}
		due, _ = timing.NextOnGrid(due, period, r.clock.Now())
	}
	return nil
}

// receivePeriod is how often to look so that a quarter of the buffer, in bytes, holds what arrives meanwhile. It is pure.
func receivePeriod(buffer, timers int, interval time.Duration) time.Duration {
	rounds := buffer / 4 / datagramCost / timers
	return max(min(time.Duration(rounds)*interval, receiveSeldom), time.Millisecond)
}

// drain takes what has arrived. The wall clock's offset is measured for each batch, so that a clock that is being
// slewed or set costs at most that batch.
func (r *receiver) drain(g *grid) error {
	offset, err := wallOffset(r.clock)
	if err != nil {
		return err
	}
	var datagram [markLength + 1]byte
	var control [stampSpace]byte
	for {
		n, used, _, _, err := unix.Recvmsg(r.fd, datagram[:], control[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("receive: %w", err)
		}
		stamp, err := stampIn(control[:used])
		if err != nil {
			return err
		}
		record(g, datagram[:n], stamp+offset)
	}
}

// stampIn returns the kernel's stamp, on CLOCK_REALTIME, out of a datagram's control message.
func stampIn(control []byte) (timing.Instant, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, fmt.Errorf("read the datagram's stamp: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, nanoseconds := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return timing.Instant(seconds)*timing.Instant(time.Second) + timing.Instant(nanoseconds), nil
		}
	}
	return 0, errors.New("the kernel did not stamp a datagram")
}

// record notes a deadline's datagram; one that is not of this grid is none of ours.
func record(g *grid, datagram []byte, at timing.Instant) {
	if len(datagram) != markLength {
		return
	}
	timer, deadline := int(binary.BigEndian.Uint32(datagram)), int(binary.BigEndian.Uint32(datagram[4:]))
	if timer < len(g.timers) && deadline < g.timers[timer].count {
		g.timers[timer].serve(deadline, at)
	}
}

// aside returns the CPU time of the receiver's thread.
func (r *receiver) aside() (time.Duration, error) { return threadCPU(int(r.thread.Load())) }

// close ends the receiver, waits for it and tells what went wrong in it.
func (r *receiver) close() error {
	err := r.pacer.close()
	if r.thread.Load() != 0 {
		<-r.ended
	}
	return errors.Join(err, r.err, unix.Close(r.fd))
}
