package agent

import (
	"sync"

	"tourbillon/timing"
)

// allowance is how many messages of a call are taken: some each second, as many at once.
type allowance struct {
	perSecond float64

	// mu guards what follows.
	mu   sync.Mutex
	left float64
	at   timing.Instant
}

func newAllowance(perSecond int, now timing.Instant) allowance {
	return allowance{perSecond: float64(perSecond), left: float64(perSecond), at: now}
}

// take uses one up; false where none is left.
func (a *allowance) take(now timing.Instant) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if since := now.Sub(a.at); since > 0 {
		a.left, a.at = min(a.perSecond, a.left+since.Seconds()*a.perSecond), now
	}
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
