package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"

	"tourbillon/timing/rounds"
)

// How long the server is asked before anything counts, and how long the last answers are waited for.
const (
	warmUp   = time.Second
	lastCall = time.Second
)

// prober sends on a grid and takes the answers, on one thread.
type prober struct {
	order  *probeOrder
	fd     int
	asked  map[[stun.TransactionIDSize]byte]int64 // When each request that waits for its answer left.
	counts bool
	sent   int
	rtts   []int64
	buffer [1500]byte
	oob    [64]byte
}

// measure carries the order out. It blocks for as long as that takes.
func (o *probeOrder) measure() (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := dialStamped(o.Server)
	if err != nil {
		return outcome{}, err
	}
	defer unix.Close(fd)
	p := &prober{order: o, fd: fd, asked: map[[stun.TransactionIDSize]byte]int64{}}
	if err := p.slice(warmUp, true); err != nil {
		return outcome{}, err
	}
	p.counts, p.asked = true, map[[stun.TransactionIDSize]byte]int64{}
	var with, without time.Duration
	for range int(o.Duration / (2 * sliceLength)) {
		for _, asking := range []bool{false, true} {
			before, err := cpuOf(o.PID)
			if err != nil {
				return outcome{}, err
			}
			if err := p.slice(sliceLength, asking); err != nil {
				return outcome{}, err
			}
			after, err := cpuOf(o.PID)
			if err != nil {
				return outcome{}, err
			}
			if asking {
				with += after - before
			} else {
				without += after - before
			}
		}
	}
	if err := p.slice(lastCall, false); err != nil {
		return outcome{}, err
	}
	return p.outcome(with - without)
}

func (p *prober) outcome(cpu time.Duration) (outcome, error) {
	if len(p.rtts) == 0 {
		return outcome{}, fmt.Errorf("none of %d requests to %v was answered", p.sent, p.order.Server)
	}
	o := outcome{Sent: p.sent, Answered: len(p.rtts), CPUPer: int64(cpu) / int64(len(p.rtts))}
	slices.Sort(p.rtts)
	var sum int64
	for _, rtt := range p.rtts {
		sum += rtt
	}
	o.MeanNS, o.P50NS, o.P95NS, o.P99NS = sum/int64(len(p.rtts)), rounds.Nearest(p.rtts, 50), rounds.Nearest(p.rtts, 95), rounds.Nearest(p.rtts, 99)
	return o, nil
}

// slice takes answers for a time, and sends requests, too, if asking.
func (p *prober) slice(length time.Duration, asking bool) error {
	start := now(unix.CLOCK_MONOTONIC)
	end, next, interval := start+int64(length), start, int64(time.Second)/int64(p.order.Rate)
	for {
		at := now(unix.CLOCK_MONOTONIC)
		if at >= end {
			return nil
		}
		until := end
		if asking {
			if at >= next {
				if err := p.ask(); err != nil {
					return err
				}
				next = max(next+interval, at) // After a stall the grid begins anew.
			}
			until = min(end, next)
		}
		if err := p.take(until - now(unix.CLOCK_MONOTONIC)); err != nil {
			return err
		}
	}
}

func (p *prober) ask() error {
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	p.asked[ask.TransactionID] = now(unix.CLOCK_REALTIME)
	if p.counts {
		p.sent++
	}
	if err := unix.Send(p.fd, ask.Raw, 0); err != nil {
		return fmt.Errorf("ask %v: %w", p.order.Server, err)
	}
	return nil
}

// take waits for packets for at most so long, and takes those that are there.
func (p *prober) take(wait int64) error {
	limit := unix.NsecToTimespec(max(0, wait))
	n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &limit, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for n > 0 {
		size, oobn, _, _, err := unix.Recvmsg(p.fd, p.buffer[:], p.oob[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("answers of %v: %w", p.order.Server, err)
		}
		p.answered(p.buffer[:size], stamp(p.oob[:oobn]))
	}
	return nil
}

func (p *prober) answered(packet []byte, at int64) {
	m := stun.New()
	if stun.Decode(packet, m) != nil || m.Type != stun.BindingSuccess || at == 0 {
		return
	}
	left, waits := p.asked[m.TransactionID]
	if !waits {
		return
	}
	delete(p.asked, m.TransactionID)
	if p.counts {
		p.rtts = append(p.rtts, at-left)
	}
}

// dialStamped opens a UDP socket whose packets the kernel stamps as they arrive.
func dialStamped(to netip.AddrPort) (fd int, err error) {
	if !to.Addr().Is4() {
		return 0, fmt.Errorf("%v is no IPv4 address", to)
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, fmt.Errorf("open a socket: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
	if err != nil {
		return 0, errors.Join(fmt.Errorf("prepare a socket: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// stamp reads SCM_TIMESTAMPNS, nanoseconds of CLOCK_REALTIME; 0 where there is none.
func stamp(oob []byte) int64 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return int64(binary.NativeEndian.Uint64(m.Data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(m.Data[8:]))
		}
	}
	return 0
}

func now(clock int32) int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(clock, &t) // Fails for no clock that is asked here.
	return t.Nano()
}

// cpuOf returns the user and system CPU time that a process and all its threads have spent. The clock's number is made
// as the kernel makes it: the inverted process id, then the bits for "scheduler's count".
func cpuOf(pid int) (time.Duration, error) {
	const scheduled = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &spent); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(spent.Nano()), nil
}
