//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// trialOverhead is roughly what a trial takes beside warm-up and window, for the estimate.
const trialOverhead = 300 * time.Millisecond

// measured is one trial with the outcomes of its runs, none where this machine does not allow it.
type measured struct {
	trial
	runs []outcome
}

// runRows measures every arm under every load that was asked for.
func (b *bench) runRows(ctx context.Context) error {
	var sets [][]trial
	for _, load := range b.loads {
		var trials []trial
		for _, arm := range b.arms {
			t := b.trial(arm, load, b.timers, b.interval)
			if arm == armHRTimer || arm == armInline {
				t.Slack = b.slack
			}
			trials = append(trials, t)
		}
		sets = append(sets, trials)
	}
	return b.runSets(ctx, sets)
}

func (b *bench) trial(arm, load string, timers int, interval time.Duration) trial {
	return trial{
		Arm: arm, Load: load, Timers: timers, Interval: interval,
		WarmUp: warmUpFor(interval), Window: b.duration, Work: b.work, CPU: b.cpu,
	}
}

// runSets measures sets of trials that are to be compared: a set's trials one after another (A B C), and that as often
// as there are runs (A B C A B C …).
func (b *bench) runSets(ctx context.Context, sets [][]trial) error {
	b.sayHowLong(sets)
	for _, trials := range sets {
		first := len(b.measured)
		for _, t := range trials {
			b.measured = append(b.measured, measured{trial: t})
		}
		for range b.runs {
			for i := range trials {
				if err := b.runOnce(ctx, &b.measured[first+i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) sayHowLong(sets [][]trial) {
	count, whole := 0, time.Duration(0)
	for _, trials := range sets {
		for _, t := range trials {
			count += b.runs
			whole += time.Duration(b.runs) * (t.WarmUp + t.Window + trialOverhead)
		}
	}
	b.say("%d processes one after another, about %v", count, whole.Round(time.Second))
}

func (b *bench) runOnce(ctx context.Context, m *measured) error {
	a, err := b.ask(ctx, order{Trial: &m.trial})
	if err != nil {
		if errors.As(err, new(*noQuotaError)) {
			b.say("load %s is left out: %v", m.Load, err)
			return nil
		}
		return fmt.Errorf("arm %s, load %s: %w", m.Arm, m.Load, err)
	}
	for _, note := range a.Trial.Notes {
		b.say("arm %s: %s", m.Arm, note)
	}
	m.runs = append(m.runs, *a.Trial)
	b.report.Rows = append(b.report.Rows, a.Trial.Row)
	return nil
}

// ask has a process carry out an order, under a quota where its load is one.
func (b *bench) ask(ctx context.Context, o order) (a answer, err error) {
	millicores := 0
	if o.Trial != nil {
		millicores = quotaOf(o.Trial.Load)
	}
	if millicores == 0 {
		return b.launch.run(ctx, o, nil)
	}
	group, err := newCgroup(millicores)
	if err != nil {
		return answer{}, &noQuotaError{err}
	}
	defer func() {
		if removed := group.remove(); removed != nil {
			err = errors.Join(err, fmt.Errorf("remove the cgroup: %w", removed))
		}
	}()
	return b.launch.run(ctx, o, group)
}

// noQuotaError says that this process may not make a CPU cgroup.
type noQuotaError struct{ err error }

func (e *noQuotaError) Error() string {
	return fmt.Sprintf("no CPU cgroup can be made here (run as root outside a container): %v", e.err)
}

func (e *noQuotaError) Unwrap() error { return e.err }

// spreadOver returns the spread of one figure over a measured trial's runs.
func (m measured) spreadOver(figure func(outcome) int64) spread[int64] {
	var figures []int64
	for _, o := range m.runs {
		figures = append(figures, figure(o))
	}
	return spreadOf(figures)
}

// find returns the measured trial that differs from t in its arm only, and in having no slack.
func (b *bench) find(t trial, arm string) (measured, bool) {
	t.Arm, t.Slack = arm, 0
	for _, m := range b.measured {
		if m.trial == t {
			return m, true
		}
	}
	return measured{}, false
}

// ratios returns one figure's ratio to another trial's, run by run.
func (m measured) ratios(to measured, figure func(outcome) int64) []float64 {
	var ratios []float64
	for i := range min(len(m.runs), len(to.runs)) {
		ratios = append(ratios, ratio(figure(m.runs[i]), figure(to.runs[i])))
	}
	return ratios
}
