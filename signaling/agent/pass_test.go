package agent_test

import (
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// pass lets a moment go by on real clocks, for tests that wait on a condition.
func pass() { timingtest.Real(timing.Runtime{}).Pass(5 * time.Millisecond) }
