//go:build linux

package bench

import (
	"context"
	"fmt"
)

// Held is the most connections whose heartbeats an arm holds.
type Held struct {
	Arm         string `json:"arm"`
	Conns       int    `json:"conns"`
	HeartbeatNS int64  `json:"heartbeat_ns"`
	// Limited is true when the search ended at --conns and not at the arm's own end.
	Limited bool `json:"limited"`
}

// heldShare is the least share of the window's heartbeats that must have reached the clients within it for them to count
// as held; no connection may be lost.
const heldShare = 0.99

// holds judges one trial. It is pure.
func (o outcome) holds(conns int, beatsEach float64) bool {
	return o.Lost == 0 && float64(o.Beats) >= heldShare*beatsEach*float64(conns)
}

// searchResolution is the step at which the search ends, as a share of the count.
const searchResolution = 20

// runSearch looks for the most connections, up to --conns, by doubling and then by halving the step.
func (b *bench) runSearch(ctx context.Context) error {
	for _, arm := range b.arms {
		most, err := searchMost(b.conns, func(conns int) (bool, error) {
			o := b.options
			o.conns = conns
			result, err := b.run(ctx, arm, o)
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			if err != nil { // It could not even connect them.
				fmt.Fprintln(b.Errs, err)
				return false, nil
			}
			return result.holds(conns, o.duration.Seconds()/o.heartbeat.Seconds()), nil
		})
		if err != nil {
			return err
		}
		b.report.Held = append(b.report.Held, Held{arm, most, int64(b.heartbeat), most == b.conns})
	}
	return nil
}

// searchMost returns the most connections, even and at most limit, that hold; 0 for none.
func searchMost(limit int, holds func(conns int) (bool, error)) (int, error) {
	good, bad := 0, limit+2
	for next := min(500, limit); good < limit && bad-good > max(2, good/searchResolution); {
		ok, err := holds(next)
		if err != nil {
			return 0, err
		}
		if ok {
			good = next
		} else {
			bad = next
		}
		if bad > limit {
			next = min(2*good, limit)
		} else {
			next = (good + bad) / 2 &^ 1
		}
		if next <= good || next >= bad {
			break
		}
	}
	return good, nil
}
