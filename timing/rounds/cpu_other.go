//go:build !unix

package rounds

import "time"

// CPUTime is 0: this system does not tell.
func CPUTime() time.Duration { return 0 }
