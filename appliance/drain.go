package appliance

import (
	"context"
	"fmt"
	"time"
)

// probeLimit is how long our own STUN listener may take to answer before we are not ready.
const probeLimit = 2 * time.Second

// drain is the orderly part of a stop, as far as it takes others: no allocation is made any more, clients are told, and
// the present allocations have turn.drain to end. A second signal ends the process meanwhile.
func (a *appliance) drain() {
	if a.turn == nil || a.signaling == nil || a.stopSelfCall == nil { // Stopped while starting.
		return
	}
	a.turn.Drain(ended())
	a.stopSelfCall()
	a.turn.Kick(selfCallUser) // What a call that was about to begin has left.
	if err := a.tellClients(); err != nil {
		a.log.Warn("clients were not all told of the stop", "error", err)
	}
	ctx, cancel := a.within(a.config.TURN.Drain)
	defer cancel()
	a.notify(fmt.Sprintf("STATUS=draining: %d allocations", a.turn.Stats().Allocations))
	began := a.clock.Now()
	left := a.turn.Drain(ctx)
	a.notify(fmt.Sprintf("STATUS=stopping: %d allocations are cut", left))
	a.log.Info("drained", "allocations_left", left, "took", a.clock.Now().Sub(began))
}

func (a *appliance) tellClients() error {
	ctx, cancel := a.within(stopLimit)
	defer cancel()
	return a.signaling.Shutdown(ctx)
}

// within is a context that ends after d on the injected clock.
func (a *appliance) within(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := a.clock.AfterFunc(d, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
