//go:build !unix

package bench

import "time"

// cpuTime is 0: this system does not tell.
func cpuTime() time.Duration { return 0 }
