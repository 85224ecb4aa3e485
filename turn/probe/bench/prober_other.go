//go:build !linux

package bench

import "errors"

func (o *probeOrder) measure() (outcome, error) {
	return outcome{}, errors.New("bench stun needs Linux: the kernel's stamps and its count of a process's CPU time")
}
