package timing

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// uringOwner is the thread that submits to a ring and so executes its requests. It waits in the kernel on an eventfd,
// where an expiring timeout interrupts the wait, runs, and resumes it, all without a return to user space.
//
// A goroutine that returns from a system call must get a Go processor before it runs on, which takes up to hundreds
// of milliseconds where goroutines are busy; a new send would wait that long to be submitted. So this one never
// returns while it serves: its loop is, as far as the scheduler can tell, one long system call.
type uringOwner struct {
	eventFD int
	report  EngineReport
	thread  sync.WaitGroup
}

// What wake adds to the eventfd's counter. A sum of submits never reaches a stop.
const (
	uringOwnerSubmit uint64 = 1
	uringOwnerStop   uint64 = 1 << 62
)

func startUringOwner(r *uring, cpus []int) (*uringOwner, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	o := &uringOwner{eventFD: fd}
	started := make(chan EngineReport, 1)
	o.thread.Go(func() {
		// Never unlocked, so that the runtime discards the thread together with its changed scheduling.
		runtime.LockOSThread()
		started <- configureThread(cpus)
		serveUring(uintptr(r.FD), uintptr(fd), uintptr(len(r.SQEs)))
	})
	o.report = <-started
	return o, nil
}

// wake may be called from any thread and does not block.
func (o *uringOwner) wake(message uint64) {
	var count [8]byte
	binary.NativeEndian.PutUint64(count[:], message)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(o.eventFD), uintptr(unsafe.Pointer(&count[0])), uintptr(len(count)))
}

// stop ends the thread and waits for it. Nothing may be pending.
func (o *uringOwner) stop() error {
	o.wake(uringOwnerStop)
	o.thread.Wait()
	return unix.Close(o.eventFD)
}

// serveUring submits whatever the ring holds at each wake, until a stop. Between enterSyscall and exitSyscall it has
// no Go processor: it must not allocate, grow its stack, touch a pointer to the heap, be instrumented for races, or
// call anything but raw system calls. That a call fails is no case: the descriptors outlive the thread, and an
// interrupted one is made again.
//
//go:nosplit
//go:norace
func serveUring(ring, event, entries uintptr) {
	var count uint64
	kernel.EnterSyscall()
	for count < uint64(uringOwnerStop) {
		_, _, _ = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, ring, entries, 0, 0, 0, 0)
		_, _, _ = unix.RawSyscall(unix.SYS_READ, event, uintptr(unsafe.Pointer(&count)), unsafe.Sizeof(count))
	}
	kernel.ExitSyscall()
}
