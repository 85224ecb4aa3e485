package appliance

import (
	"context"
	"fmt"
	"time"
)

// probeLimit is how long our own STUN listener may take to answer before we are not ready.
const probeLimit = 2 * time.Second

// drain refuses new allocations and waits for the present ones as long as turn.drain says; a second signal ends the
// process meanwhile. The call to ourselves, which would never end by itself, is ended first.
func (a *appliance) drain() {
	limit := a.config.TURN.Drain
	if a.turn == nil || limit == 0 {
		return
	}
	a.stopSelfCall()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timer := a.clock.AfterFunc(limit, cancel)
	defer timer.Stop()
	a.notify(fmt.Sprintf("STATUS=draining: %d allocations", a.turn.Stats().Allocations))
	began := a.clock.Now()
	left := a.turn.Drain(ctx)
	a.notify(fmt.Sprintf("STATUS=stopping: %d allocations are cut", left))
	a.log.Info("drained", "allocations_left", left, "took", a.clock.Now().Sub(began))
}
