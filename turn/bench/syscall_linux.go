package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait is epoll_pwait2(2) with a timeout in nanoseconds, interrupted waits counting as empty ones.
func epollWait(fd int, events []unix.EpollEvent, timeout int64) (int, error) {
	limit := unix.NsecToTimespec(timeout)
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
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

// rssOf returns the resident memory of a process in bytes.
func rssOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}

// pause blocks the thread, and keeps no processor from the rest of the program.
func pause(nanoseconds int64) {
	if nanoseconds > 0 {
		t := unix.NsecToTimespec(nanoseconds)
		_ = unix.Nanosleep(&t, nil) // An interrupted pause is a shorter one.
	}
}
