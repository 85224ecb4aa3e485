package timing

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// probe finds out by trial whether the kernel can do what a wire needs. Version numbers do not tell: distributions
// carry changes back, and sandboxes answer for the kernel.
func (r *uring) probe() error {
	memory, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(kernel.Timespec{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map probe: %w", err)
	}
	return errors.Join(r.probeTimeout(memory), r.probeCancel(), unix.Munmap(memory))
}

// probeTimeout has a timeout that has long passed start a request linked to it. A kernel without
// IORING_TIMEOUT_ETIME_SUCCESS completes the timeout with an error; otherwise only the linked one completes.
func (r *uring) probeTimeout(memory []byte) error {
	expired := (*kernel.Timespec)(unsafe.Pointer(&memory[0]))
	r.push(kernel.SQE{
		Opcode:  kernel.OpTimeout,
		Flags:   kernel.SQEIOLink | kernel.SQECQESkipSuccess,
		FD:      -1,
		Addr:    uint64(uintptr(unsafe.Pointer(expired))),
		Len:     1,
		OpFlags: kernel.TimeoutAbs | kernel.TimeoutETimeSuccess,
	})
	r.push(kernel.SQE{Opcode: kernel.OpNop, FD: -1})
	r.publish()
	if err := r.submitAndWait(2); err != nil {
		return err
	}
	if completion, _ := r.pop(); completion.Res < 0 {
		return fmt.Errorf("io_uring cannot link a request to an absolute timeout (Linux 5.17): %w", unix.Errno(-completion.Res))
	}
	return nil
}

// probeCancel cancels what is not there.
func (r *uring) probeCancel() error {
	if err := r.cancel(0); !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("io_uring cannot cancel synchronously (Linux 6.0): %w", err)
	}
	return nil
}
