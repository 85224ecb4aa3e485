package timing

import (
	"os"
	"runtime"
	"sync"
)

// AddProcessor gives Go's scheduler one processor more than it chose, and returns how many there are. Calls after the
// first add none.
//
// A goroutine that becomes runnable waits for a processor. With as many as CPUs, a busy program or collector holds
// all of them, and a timer's callback waits up to the 10 ms that a goroutine may run on; one more costs nothing while it is idle,
// and lets the kernel share out the CPUs, which it does at each wake. Where the CPU time is limited (GOMAXPROCS in the environment, a
// quota of the cgroup) nothing is added: one more would only spend the quota sooner.
//
// Go does not follow later changes of the quota once the number has been set.
func AddProcessor() int { return addedProcessors() }

var addedProcessors = sync.OnceValue(func() int {
	n := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") != "" || n < runtime.NumCPU() {
		return n
	}
	runtime.GOMAXPROCS(n + 1)
	return n + 1
})
