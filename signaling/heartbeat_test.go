package signaling

import (
	"testing"
	"time"

	"tourbillon/timing"
)

const ms = timing.Instant(time.Millisecond)

func TestOnlyOutstandingPongsCount(t *testing.T) {
	var h heartbeat
	if h.pong(0, 1*ms) || h.pong(1, 1*ms) {
		t.Error("a pong before any ping counted")
	}
	seq, _ := h.beat(100*ms, time.Second)
	for name, foreign := range map[string]uint64{"zero": 0, "future": seq + 1, "huge": 1 << 63} {
		if h.pong(foreign, 101*ms) {
			t.Errorf("%s number counted", name)
		}
	}
	if !h.pong(seq, 104*ms) || h.rtt.Smoothed != 4*time.Millisecond {
		t.Errorf("smoothed round trip %v, want 4ms", h.rtt.Smoothed)
	}
	if h.pong(seq, 105*ms) || h.rtt.Samples != 1 {
		t.Error("a second pong of the same number counted")
	}
}

func TestPongAfterTheNextPing(t *testing.T) {
	var h heartbeat
	first, _ := h.beat(0, time.Second)
	second, _ := h.beat(100*ms, time.Second)
	if !h.pong(first, 150*ms) || h.rtt.Smoothed != 150*time.Millisecond {
		t.Errorf("round trip %v, want 150ms", h.rtt.Smoothed)
	}
	third, _ := h.beat(200*ms, time.Second)
	h.sent(third, 210*ms)
	if h.pong(first, 251*ms) || !h.pong(second, 260*ms) || h.rtt.Samples != 1 {
		t.Errorf("%d samples, want 1: the second ping was no probe", h.rtt.Samples)
	}
	if !h.pong(third, 220*ms) || h.rtt.Samples != 2 || h.rtt.Jitter == 0 {
		t.Errorf("%d samples, want 2", h.rtt.Samples)
	}
	if h.answered != h.seq {
		t.Errorf("%d pings unanswered, want 0", h.seq-h.answered)
	}
}

func TestAnAnswerSettlesEarlierPings(t *testing.T) {
	var h heartbeat
	first, _ := h.beat(0, time.Second)
	second, _ := h.beat(100*ms, time.Second)
	if !h.pong(second, 101*ms) || h.pong(first, 102*ms) || h.answered != second || h.rtt.Samples != 0 {
		t.Errorf("answered %d, samples %d", h.answered, h.rtt.Samples)
	}
	if third, _ := h.beat(200*ms, time.Second); h.probe != third {
		t.Errorf("ping %d is the probe, want %d: the last one can no longer be measured", h.probe, third)
	}
}

func TestMissedBeatsAreTheEnd(t *testing.T) {
	for interval, beats := range map[time.Duration]int{
		5 * time.Second: 3, time.Second: 3, 100 * time.Millisecond: 3, 50 * time.Millisecond: 5, time.Millisecond: 250,
	} {
		var h heartbeat
		for beat := range beats {
			if _, alive := h.beat(timing.Instant(beat)*timing.Instant(interval), interval); !alive {
				t.Fatalf("%v: dead at beat %d", interval, beat)
			}
		}
		if _, alive := h.beat(timing.Instant(beats)*timing.Instant(interval), interval); alive {
			t.Errorf("%v: alive with %d pings unanswered", interval, beats)
		}
	}
}
