package timing

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// TestAThreadWithoutFIFOHasTheShortestSlice asks the kernel what it made of the wish; one before 6.12 says 0.
func TestAThreadWithoutFIFOHasTheShortestSlice(t *testing.T) {
	type outcome struct {
		policy string
		slice  uint64
		err    error
	}
	asked := make(chan outcome)
	go func() {
		runtime.LockOSThread() // The thread ends with the goroutine, and its slice with it.
		policy := shortenSlice()
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			attr = &unix.SchedAttr{}
		}
		asked <- outcome{policy, attr.Runtime, err}
	}()
	got := <-asked
	if got.err != nil {
		t.Fatal(got.err)
	}
	switch got.slice {
	case uint64(kernel.ShortSlice):
		if got.policy != "SCHED_OTHER with slices of 100µs" {
			t.Errorf("policy %q with the shortest slice", got.policy)
		}
	case 0:
		if got.policy != ordinary {
			t.Errorf("policy %q on a kernel that knows no slices", got.policy)
		}
	default:
		t.Errorf("a slice of %d ns and the policy %q, want the shortest slice", got.slice, got.policy)
	}
}
