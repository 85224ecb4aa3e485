//go:build unix && !linux

package socket

import (
	"errors"
	"syscall"
)

// tryWrite writes what a non-blocking descriptor takes at once; 0 when it takes nothing now.
func tryWrite(fd int, data []byte) (written int, err error) {
	for {
		written, err = syscall.Write(fd, data)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		}
		return max(written, 0), err
	}
}
