package timing

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbid has a system call fail with EPERM on this thread, which is lost with its goroutine (seccomp(2)).
func forbid(call uint32) error {
	runtime.LockOSThread()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // struct seccomp_data begins with the call's number.
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
}

// TestWakerTellsWhatTheSystemRefuses covers a timerfd that the poller does not take: waited for, it would wake at once for
// ever.
func TestWakerTellsWhatTheSystemRefuses(t *testing.T) {
	openWatched(t) // The runtime opens its poller with the first engine.
	for attempt, call := range map[string]uint32{
		"create timerfd":                  unix.SYS_TIMERFD_CREATE,
		"give the timerfd to Go's poller": unix.SYS_EPOLL_CTL,
	} {
		filtered, refused := make(chan error, 1), make(chan error, 1)
		go func() {
			filtered <- forbid(call)
			w, err := newWaker()
			if err == nil {
				w.close()
			}
			refused <- err
		}()
		if err := <-filtered; err != nil {
			t.Fatalf("install a system-call filter: %v", err)
		}
		var engineErr *EngineError
		if err := <-refused; !errors.As(err, &engineErr) || engineErr.Attempt != attempt {
			t.Errorf("%s refused: %v, want an EngineError that names it", attempt, err)
		}
	}
}
