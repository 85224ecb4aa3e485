package cli

import (
	"context"
	"io"

	"tourbillon/appliance"
	"tourbillon/appliance/observe"
	"tourbillon/timing"
	stunbench "tourbillon/turn/probe/bench"
)

// measureSTUN compares STUN round trips under a signaling load with those of pion as published and of coturn.
func measureSTUN(ctx context.Context, args []string, out IO) error {
	self := stunbench.Self{Retimed: observe.ReadBuild(appliance.ClockRuntime, "").Timers.Retimed(), Host: timing.ReadHost()}
	return stunbench.Run(ctx, args, self, out.Out, out.Err)
}

// plainServe is serve for the benchmark's arm that has pion as published: the appliance without the processor that serve
// adds for its clock.
func plainServe(out IO) stunbench.Serve {
	return func(ctx context.Context, args []string, to io.Writer) error {
		c, err := newOptions("serve").load(args)
		if err != nil {
			return err
		}
		return appliance.Run(ctx, appliance.Options{Config: c, Out: to, Log: observe.NewLog(out.Err, c.Level(), c.Log.Format)})
	}
}
