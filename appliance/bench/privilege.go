//go:build linux

package bench

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// renounceRealTime gives up what SCHED_FIFO can be granted by, RLIMIT_RTPRIO and CAP_SYS_NICE, for the program that this
// thread executes next. Capabilities belong to threads, and the runtime has started several already: only executing
// anew makes the loss that of the whole process. No-new-privileges keeps execve from handing the capability back,
// which it otherwise does to root and to a file with capabilities.
//
// The calling goroutine stays locked to its thread; it is meant to execute next.
func renounceRealTime() error {
	runtime.LockOSThread()
	if err := unix.Setrlimit(unix.RLIMIT_RTPRIO, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("set RLIMIT_RTPRIO to 0: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	const niceBit = uint32(1) << unix.CAP_SYS_NICE
	sets[0].Effective &^= niceBit
	sets[0].Permitted &^= niceBit
	sets[0].Inheritable &^= niceBit
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("drop CAP_SYS_NICE: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return nil
}

// executeAgain replaces this process by a new start of the same program; it returns only to tell why it could not.
func executeAgain(args ...string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	err = syscall.Exec(program, append([]string{program}, args...), os.Environ())
	return fmt.Errorf("execute %s again: %w", program, err)
}
