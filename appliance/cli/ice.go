package cli

import (
	"context"
	"fmt"
	"time"

	"tourbillon/appliance"
	"tourbillon/appliance/bench"
	"tourbillon/signaling/agent/bench/negotiate"
	"tourbillon/signaling/client"
	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// iceHooks are what `bench ice` needs of the rest of the program.
func iceHooks() negotiate.Hooks {
	return negotiate.Hooks{Self: buildOf(""), Host: bench.ReadHost(), Clock: openMeasuredClock, Join: joinMeasured}
}

func buildOf(clock string) negotiate.Build {
	b := describeBuild(clock)
	return negotiate.Build{Retimed: b.Retimed, Clock: b.Clock, Revision: b.Revision}
}

// openMeasuredClock opens a clock as serve does. The program with pion as published, which has package time alone, goes
// without the processor that serve adds for its clock.
func openMeasuredClock(name string) (timing.Clock, negotiate.Build, func() error, error) {
	if buildOf("").Retimed {
		timing.AddProcessor()
	}
	clock := appliance.OpenClock(name)
	err := stdtime.Use(clock, timing.NewMeter(clock, nil))
	return clock, buildOf(clock.Name), clock.Close, err
}

// seatHeartbeat is often enough to keep a seat, and seldom enough to leave no mark.
const seatHeartbeat = 2 * time.Second

// joinMeasured joins a room as Go programs do.
func joinMeasured(ctx context.Context, address, room string) (negotiate.Room, error) {
	joined, err := client.Join(ctx, "ws://"+address+"/ws", client.Options{Room: room, Heartbeat: seatHeartbeat, Tolerance: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	return measuredRoom{joined}, nil
}

// measuredRoom is a room as the benchmark sees it.
type measuredRoom struct{ *client.Room }

func (r measuredRoom) Send(to, kind, sdp string) error {
	if kind == "offer" {
		return r.Offer(to, sdp)
	}
	return r.Answer(to, sdp)
}

func (r measuredRoom) Next(ctx context.Context) (negotiate.Signal, error) {
	for {
		select {
		case e, open := <-r.Events():
			switch e := e.(type) {
			case nil:
				if !open {
					return negotiate.Signal{}, fmt.Errorf("the room ended: %w", r.Err())
				}
			case client.Signal:
				return negotiate.Signal{From: e.From, Kind: e.Kind, SDP: e.SDP}, nil
			case client.Refused:
				return negotiate.Signal{}, e.Refusal
			}
		case <-ctx.Done():
			return negotiate.Signal{}, ctx.Err()
		}
	}
}
