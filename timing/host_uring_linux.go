package timing

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// ioUringSysctl is one of 0 (open to all), 1 (to CAP_SYS_ADMIN and kernel.io_uring_group) and 2 (to nobody).
const ioUringSysctl = "proc/sys/kernel/io_uring_disabled"

// probeHostIOUring asks for the smallest ring and closes it.
func probeHostIOUring(root fs.FS) IOUring {
	fd, err := kernel.SystemSetup(1, &kernel.Params{})
	if err != nil {
		return IOUring{Why: refusedIOUring(err, root)}
	}
	if err := unix.Close(fd); err != nil {
		return IOUring{Why: fmt.Sprintf("close the ring: %v", err)}
	}
	return IOUring{Usable: true}
}

// refusedIOUring says in words why io_uring_setup failed. A filter may answer with ENOSYS as well as with EPERM.
func refusedIOUring(err error, root fs.FS) string {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return "the kernel has no io_uring, or a system-call filter hides it (ENOSYS)"
	case errors.Is(err, unix.EPERM):
		return refusedBySysctl(root)
	}
	return fmt.Sprintf("io_uring_setup: %v", err)
}

func refusedBySysctl(root fs.FS) string {
	switch setting, err := readHostLine(root, ioUringSysctl); {
	case err != nil:
		return "a system-call filter or the sysctl kernel.io_uring_disabled, which cannot be read here, forbids it (EPERM)"
	case setting == "2":
		return "the sysctl kernel.io_uring_disabled is 2"
	case setting == "1":
		return "the sysctl kernel.io_uring_disabled is 1 and the process not in kernel.io_uring_group"
	}
	return "a system-call filter forbids it (EPERM)"
}
