//go:build linux

package bench

import "tourbillon/timing"

// runtimeArm is time.AfterFunc, re-armed by Reset to the next instant of the grid. It goes through timing.Runtime,
// which wraps package time one to one, because a test holds that nothing outside timing arms package time's timers.
type runtimeArm struct{ nothingAside }

func newRuntimeArm() arm { return runtimeArm{} }

func (runtimeArm) start(g *grid) error {
	startOn(timing.Runtime{}, g, serveNow)
	return nil
}

func (runtimeArm) facts() armFacts { return armFacts{policy: policyOther} }
func (runtimeArm) close() error    { return nil }

// engineArm is the hrtimer engine as `serve` opens it, with spawned or inline callbacks.
type engineArm struct {
	nothingAside
	engine *timing.Engine
	clock  timing.Clock
}

func newEngineArm(t trial, inline bool) (arm, error) {
	engine, err := timing.NewEngine()
	if err != nil {
		return nil, err
	}
	clock := timing.WithSlack(engine, t.Slack)
	if inline {
		clock = timing.Inline(clock)
	}
	return &engineArm{engine: engine, clock: clock}, nil
}

func (a *engineArm) start(g *grid) error {
	startOn(a.clock, g, serveNow)
	return nil
}

func (a *engineArm) facts() armFacts {
	report := a.engine.Report()
	return armFacts{policy: report.Policy, notes: report.Notes}
}

func (a *engineArm) close() error { return a.engine.Close() }
