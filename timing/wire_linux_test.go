package timing_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// stampedReceiver reads datagrams with the instant at which the kernel received them.
type stampedReceiver struct {
	*net.UDPConn
	to netip.AddrPort
}

func listenStamped(t testing.TB) stampedReceiver {
	t.Helper()
	conn := listen(t, "udp4", "127.0.0.1:0")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		// As large as may be: the very large buffer is a privilege and only for the benchmark.
		for _, option := range []int{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE} {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 64<<20)
		}
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return stampedReceiver{conn, addressOf(conn)}
}

// receive waits for the next datagram.
func (r stampedReceiver) receive() (data string, at timing.Instant, err error) {
	var buffer [timing.MaxWireDatagram]byte
	var control [64]byte
	n, controls, _, _, err := r.ReadMsgUDPAddrPort(buffer[:], control[:])
	if err != nil {
		return "", 0, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil {
		return "", 0, err
	}
	stamp := (*unix.Timespec)(unsafe.Pointer(&messages[0].Data[0]))
	return string(buffer[:n]), timing.Instant(stamp.Nano() - wallOffset()), nil
}

// wallOffset is how much CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, by bracketed readings until one is narrow enough.
func wallOffset() (offset int64) {
	narrowest := timing.Never.Sub(0)
	for i := 0; i < 8 || narrowest > conversionError && i < 10_000; i++ {
		before := timing.Runtime{}.Now()
		wall := time.Now().UnixNano()
		if width := (timing.Runtime{}).Now().Sub(before); width < narrowest {
			narrowest, offset = width, wall-int64(before.Add(width/2))
		}
	}
	return offset
}

// conversionError bounds what the two readings of wallOffset and a slewed wall clock may differ by.
const conversionError = 20 * time.Microsecond

func TestWireNeverEarlyAndInOrder(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s := listenStamped(t), openSocket(t, w)
		lead := 100 * time.Millisecond
		for !sendsInOrder(t, w, s, receiver, lead) {
			if lead *= 2; lead > time.Minute {
				t.Fatal("the machine hands nothing over in time")
			}
		}
	})
}

// sendsInOrder hands sends over in a random order and holds them to the order of their instants; false where the first
// instant, in lead, came before all were handed over: what is overdue leaves at once, in no order.
func sendsInOrder(t *testing.T, w *timing.Wire, s *timing.WireSocket, receiver stampedReceiver, lead time.Duration) bool {
	t.Helper()
	const n = 300
	start := timing.Runtime{}.Now().Add(lead)
	dues := make(map[string]timing.Instant)
	for _, i := range rand.Perm(n) {
		data := string(rune('a' + i))
		dues[data] = start.Add(time.Duration(i) * 200 * time.Microsecond)
		mustSendAt(t, s, dues[data], data, receiver.to, nil)
	}
	inTime := timing.Runtime{}.Now() < start.Add(-lead/2) // The owner thread needs some time too.
	previous := ""
	for range n {
		data, at, err := receiver.receive()
		if err != nil {
			t.Fatal(err)
		}
		if early := dues[data].Sub(at); early > conversionError {
			t.Errorf("%q left %v early", data, early)
		}
		if data < previous && inTime && w.Report().Kernel {
			t.Errorf("%q left after %q", data, previous)
		}
		previous = data
	}
	return inTime
}

// longHold bounds the wait for a datagram without Go processors; nothing comes near it unless something is broken.
const longHold = 20 * time.Second

// holdProcessors keeps every Go processor busy in the kernel until a datagram waits at the receiver, where neither the
// scheduler nor the collector can take it away. It returns the instant at which the last processor was taken, and
// whether a datagram came at all.
func holdProcessors(t *testing.T, receiver stampedReceiver) (all timing.Instant, came bool) {
	t.Helper()
	raw, err := receiver.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		var holders sync.WaitGroup
		held := make([]timing.Instant, runtime.GOMAXPROCS(0))
		ready := make([]int32, len(held))
		for i := range held {
			holders.Go(func() {
				readable := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
				limit := unix.NsecToTimespec(int64(longHold))
				// With every signal blocked the runtime's request to yield cannot interrupt the wait.
				signals := [8]byte{255, 255, 255, 255, 255, 255, 255, 255}
				held[i] = timing.Runtime{}.Now()
				n, _, _ := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&readable)), 1, uintptr(unsafe.Pointer(&limit)),
					uintptr(unsafe.Pointer(&signals)), uintptr(len(signals)), 0)
				ready[i] = int32(n)
			})
		}
		holders.Wait()
		all, came = slices.Max(held), slices.Min(ready) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, came
}

// TestWireNeedsNoProcessor hands sends over and at once withholds every Go processor until they have come: they leave all
// the same, both the firing and the hand-over that precedes it.
func TestWireNeedsNoProcessor(t *testing.T) {
	for _, mode := range []timing.WireMode{timing.WireOwnerThread, timing.WireSQPoll} {
		t.Run(string(mode), func(t *testing.T) {
			w := openWire(t, timing.WireConfig{Mode: mode})
			requireKernel(t, w)
			receiver, s := listenStamped(t), openSocket(t, w)
			for ahead := 30 * time.Millisecond; ; ahead *= 2 {
				mustSendAt(t, s, timing.Runtime{}.Now().Add(ahead), "held", receiver.to, nil)
				all, came := holdProcessors(t, receiver)
				if !came {
					t.Fatalf("nothing left in the %v in which there was no processor", longHold)
				}
				_, at, err := receiver.receive()
				if err != nil {
					t.Fatal(err)
				}
				if at > all {
					return
				}
				if ahead > longHold/4 {
					t.Fatal("the machine withholds no processor in time")
				}
			}
		})
	}
}

func requireKernel(t *testing.T, w *timing.Wire) {
	t.Helper()
	if report := w.Report(); !report.Kernel {
		t.Fatalf("this machine's kernel does not send: %s", report.Reason)
	}
}

// TestWireSurvivesItsCaller has the thread that called SendAt end before the instant.
func TestWireSurvivesItsCaller(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s := listenStamped(t), openSocket(t, w)
		var caller sync.WaitGroup
		caller.Go(func() {
			runtime.LockOSThread() // Never unlocked: the thread ends with the goroutine.
			mustSendAt(t, s, timing.Runtime{}.Now().Add(20*time.Millisecond), "orphan", receiver.to, nil)
		})
		caller.Wait()
		if data, _, err := receiver.receive(); data != "orphan" || err != nil {
			t.Errorf("received %q, %v", data, err)
		}
	})
}

// TestWireSurvivesCollection churns the heap while a send is pending: nothing that the kernel reads lies there.
func TestWireSurvivesCollection(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s := listenStamped(t), openSocket(t, w)
		want := strings.Repeat("0123456789", timing.MaxWireDatagram/10)
		mustSendAt(t, s, timing.Runtime{}.Now().Add(20*time.Millisecond), strings.Clone(want), receiver.to, nil)
		for range 5 {
			_ = bytes.Repeat([]byte("x"), 1<<20)
			runtime.GC()
		}
		if data, _, err := receiver.receive(); data != want || err != nil {
			t.Errorf("received %d bytes %.20q…, %v", len(data), data, err)
		}
	})
}

// TestWireNeverUsesAnothersDescriptor closes the caller's connection with a send pending and has others take its
// number: the datagram leaves from the address that it was given to.
func TestWireNeverUsesAnothersDescriptor(t *testing.T) {
	for _, mode := range []timing.WireMode{timing.WireOwnerThread, timing.WireSQPoll} {
		t.Run(string(mode), func(t *testing.T) {
			w := openWire(t, timing.WireConfig{Mode: mode})
			receiver, original := listenStamped(t), listen(t, "udp4", "127.0.0.1:0")
			s, err := w.Socket(original)
			if err != nil {
				t.Fatal(err)
			}
			mustSendAt(t, s, timing.Runtime{}.Now().Add(20*time.Millisecond), "mine", receiver.to, nil)
			from := addressOf(original)
			if err := original.Close(); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				listen(t, "udp4", "127.0.0.1:0")
			}
			_, sender, err := receiver.ReadFromUDPAddrPort(make([]byte, 10))
			if err != nil || sender != from {
				t.Errorf("came from %v, %v; want %v", sender, err, from)
			}
		})
	}
}

func TestWireLeaksNothing(t *testing.T) {
	for _, mode := range wireModes {
		t.Run(string(mode), func(t *testing.T) {
			receiver := listen(t, "udp4", "127.0.0.1:0")
			use := func() {
				w := timing.NewWire(timing.Runtime{}, timing.WireConfig{Mode: mode})
				conn := listen(t, "udp4", "127.0.0.1:0")
				s, err := w.Socket(conn)
				if err != nil {
					t.Fatal(err)
				}
				done, sent := outcomes(2)
				mustSendAt(t, s, 0, "", addressOf(receiver), done)
				mustSendAt(t, s, timing.Never, "", addressOf(receiver), done)
				<-sent
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				_ = conn.Close()
			}
			use() // What the runtime opens for itself stays.
			descriptors, before := openDescriptors(t), readMaps(t)
			const wires = 50
			for range wires {
				use()
			}
			if after := openDescriptors(t); after > descriptors {
				t.Errorf("%d descriptors open after %d more wires, %d before", after, wires, descriptors)
			}
			after := readMaps(t)
			if after.rings > before.rings {
				t.Errorf("%d rings mapped after %d more wires, %d before", after.rings, wires, before.rings)
			}
			// A wire's slots are 1.6 MB; the Go heap may grow too, and with it what the race detector keeps of it.
			if grown := after.anonymous - before.anonymous; grown > wires<<20 {
				t.Errorf("%d more bytes mapped after %d more wires", grown, wires)
			}
		})
	}
}

// processMaps tells of /proc/self/maps how many io_uring rings are mapped and how many anonymous writable bytes.
type processMaps struct {
	rings     int
	anonymous int64
}

func readMaps(t *testing.T) (m processMaps) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uint64 // The last page of the address space is a map too.
		var permissions string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &permissions); err != nil {
			t.Fatalf("read map %q: %v", line, err)
		}
		switch {
		case strings.Contains(line, "[io_uring]"):
			m.rings++
		case permissions == "rw-p" && len(strings.Fields(line)) == 5:
			m.anonymous += int64(to - from)
		}
	}
	return m
}

func TestWireSaysWhyTheKernelDoesNotSend(t *testing.T) {
	clock := timing.Runtime{}
	cases := []struct {
		name string
		open func() *timing.Wire
		want string
	}{
		{"switched off", func() *timing.Wire { return timing.NewWireRefused(clock, unix.EPERM) }, "operation not permitted"},
		{"not there", func() *timing.Wire { return timing.NewWireRefused(clock, unix.ENOSYS) }, "function not implemented"},
		{"no features", func() *timing.Wire { return timing.NewWireFeatureless(clock) }, "Linux 5.17"},
		{"no timeout", func() *timing.Wire { return timing.NewWireRestricted(clock, true) }, "absolute timeout"},
		{"no cancelling", func() *timing.Wire { return timing.NewWireRestricted(clock, false) }, "Linux 6.0"},
		{"asked for", func() *timing.Wire { return timing.NewWire(clock, timing.WireConfig{Mode: timing.WireClock}) }, "asked for"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			descriptors := openDescriptors(t)
			w := c.open()
			timingtest.Eventually(t, "the attempt leaves no descriptor", func() bool { return openDescriptors(t) <= descriptors })
			report := w.Report()
			if report.Kernel || report.Mode != timing.WireClock || !strings.Contains(report.Reason, c.want) {
				t.Errorf("report %+v, want a reason with %q", report, c.want)
			}
			receiver := listen(t, "udp4", "127.0.0.1:0")
			done, sent := outcomes(1)
			mustSendAt(t, openSocket(t, w), clock.Now().Add(time.Millisecond), "", addressOf(receiver), done)
			if got := <-sent; got.Err != nil {
				t.Error(got.Err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWireReportsItsThread compares the report with what the kernel says of the threads.
func TestWireReportsItsThread(t *testing.T) {
	w := openWire(t, timing.WireConfig{})
	requireKernel(t, w)
	report := w.Report()
	if report.Mode != timing.WireOwnerThread || report.Reason != "" {
		t.Errorf("report %+v", report)
	}
	timingtest.Real(timing.Runtime{}).Pass(time.Millisecond)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	fifo := slices.ContainsFunc(tasks, func(task os.DirEntry) bool {
		var id int
		for _, digit := range task.Name() {
			id = 10*id + int(digit-'0')
		}
		attr, err := unix.SchedGetAttr(id, 0)
		return err == nil && attr.Policy == unix.SCHED_FIFO
	})
	if claimed := strings.HasPrefix(report.Policy, "SCHED_FIFO"); claimed != fifo {
		t.Errorf("policy reported as %q, a FIFO thread exists: %v", report.Policy, fifo)
	}
}
