//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/soak"
)

// soakOrder soaks one arm's clock.
type soakOrder struct {
	Arm      string        `json:"arm"`
	Duration time.Duration `json:"duration_ns"`
}

// Soak is what became of the timers that were armed, stopped and re-armed at random. Lost has to be 0.
type Soak struct {
	Arm        string `json:"arm"`
	DurationNS int64  `json:"duration_ns"`
	Armed      int64  `json:"armed"`
	Fired      int64  `json:"fired"`
	Stopped    int64  `json:"stopped"`
	Lost       int64  `json:"lost"`
}

func (s Soak) String() string {
	return fmt.Sprintf("%s soaked for %v: %d armed, %d fired, %d stopped or re-armed, %d lost",
		s.Arm, time.Duration(s.DurationNS), s.Armed, s.Fired, s.Stopped, s.Lost)
}

func (o soakOrder) measure() (Soak, error) {
	clock, closeClock, err := openSoaked(o.Arm)
	if err != nil {
		return Soak{}, err
	}
	t := soak.Run(clock, o.Duration)
	return Soak{
		Arm: o.Arm, DurationNS: int64(o.Duration),
		Armed: t.Armed, Fired: t.Fired, Stopped: t.Stopped, Lost: t.Lost(),
	}, closeClock()
}

func openSoaked(arm string) (timing.Clock, func() error, error) {
	switch arm {
	case armRuntime:
		return timing.Runtime{}, func() error { return nil }, nil
	case armHRTimer:
		engine, err := timing.NewEngine()
		if err != nil {
			return nil, nil, err
		}
		return engine, engine.Close, nil
	}
	return nil, nil, &UsageError{fmt.Sprintf("--soak with the arm %s", arm), "soak runtime or hrtimer"}
}

// runSoak soaks each arm. Lost timers are an error, after all arms have run.
func (b *bench) runSoak(ctx context.Context) (err error) {
	for _, arm := range b.arms {
		b.say("soaking %s for %v", arm, b.soak)
		a, failed := b.ask(ctx, order{Soak: &soakOrder{Arm: arm, Duration: b.soak}})
		if failed != nil {
			return fmt.Errorf("soak %s: %w", arm, failed)
		}
		b.report.Soak = append(b.report.Soak, *a.Soak)
		if a.Soak.Lost != 0 {
			err = errors.Join(err, fmt.Errorf("soak %s: %d timers lost", arm, a.Soak.Lost))
		}
	}
	return err
}
