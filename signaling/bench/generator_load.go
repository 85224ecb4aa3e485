//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"tourbillon/timing"
)

// errOrphan says that the parent is gone.
var errOrphan = errors.New("the measuring process's parent has ended")

// hold lets the heartbeats run until the parent sends a byte.
func (g *generator) hold(in io.Reader) error {
	if g.beat != nil {
		g.nextBeat = g.clock.Now().Add(g.beatGap())
	}
	file, ok := in.(*os.File)
	if !ok {
		return errors.New("the generator's input has to be a file, to be waited for")
	}
	if err := g.watch(int(file.Fd()), atInput); err != nil {
		return err
	}
	for !g.told {
		if err := g.step(timing.Never); err != nil {
			return err
		}
	}
	return nil
}

// beatGap is the time between two clients' heartbeats, which are spread evenly.
func (g *generator) beatGap() time.Duration { return max(g.Heartbeat/time.Duration(g.Conns), 1) }

// load makes the load: a warm-up, the window, and a moment for the last answers.
func (g *generator) load(answers *json.Encoder) error {
	begin := g.clock.Now()
	g.from, g.until = begin.Add(g.WarmUp), begin.Add(g.WarmUp+g.Window)
	if g.Rate > 0 {
		g.nextAsk = begin.Add(g.askGap())
	}
	if err := g.steps(g.from); err != nil {
		return err
	}
	if err := answers.Encode(struct{}{}); err != nil {
		return err
	}
	if err := g.steps(g.until); err != nil {
		return err
	}
	g.nextAsk = timing.Never
	g.result.WindowNS = int64(g.Window)
	g.result.Lost = g.failed
	for end := g.until.Add(answerPatience); g.result.RoundTrips < g.result.Asked && g.clock.Now() < end; {
		if err := g.step(end); err != nil {
			return err
		}
	}
	slices.Sort(g.roundTrips)
	g.result.P50NS, g.result.P95NS, g.result.P99NS = perMille(g.roundTrips, 500), perMille(g.roundTrips, 950), perMille(g.roundTrips, 990)
	if g.why != nil {
		g.result.LostWhy = g.why.Error()
	}
	return answers.Encode(g.result)
}

func (g *generator) askGap() time.Duration { return time.Second / time.Duration(g.Rate) }

func (g *generator) steps(until timing.Instant) error {
	for g.clock.Now() < until {
		if err := g.step(until); err != nil {
			return err
		}
	}
	return nil
}
