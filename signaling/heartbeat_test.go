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
	seq, _ := h.beat(100 * ms)
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
	first, _ := h.beat(0)
	second, _ := h.beat(100 * ms)
	if !h.pong(first, 150*ms) || h.rtt.Smoothed != 150*time.Millisecond {
		t.Errorf("round trip %v, want 150ms", h.rtt.Smoothed)
	}
	h.sent(second, 110*ms)
	if h.pong(first, 151*ms) || !h.pong(second, 260*ms) || h.rtt.Samples != 2 {
		t.Errorf("%d samples, want 2", h.rtt.Samples)
	}
	if h.unanswered != 0 {
		t.Errorf("%d pings unanswered, want 0", h.unanswered)
	}
}

func TestAnAnswerSettlesEarlierPings(t *testing.T) {
	var h heartbeat
	first, _ := h.beat(0)
	second, _ := h.beat(100 * ms)
	if !h.pong(second, 101*ms) || h.pong(first, 102*ms) || h.unanswered != 0 {
		t.Errorf("unanswered %d, samples %d", h.unanswered, h.rtt.Samples)
	}
}

func TestThreeMissedBeatsAreTheEnd(t *testing.T) {
	var h heartbeat
	for beat := range missedBeats {
		if _, alive := h.beat(timing.Instant(beat) * ms); !alive {
			t.Fatalf("dead at beat %d", beat)
		}
	}
	if _, alive := h.beat(missedBeats * ms); alive {
		t.Error("alive with three pings unanswered")
	}
}
