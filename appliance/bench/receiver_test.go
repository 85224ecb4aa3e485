//go:build linux

package bench

import (
	"testing"
	"time"
)

func TestReceivePeriod(t *testing.T) {
	for _, c := range []struct {
		name           string
		buffer, timers int
		interval, want time.Duration
	}{
		{"as seldom as is useful", 64 << 20, 1000, 100 * time.Millisecond, receiveSeldom},
		{"a small buffer", 400 << 10, 50, 20 * time.Millisecond, 40 * time.Millisecond},
		{"a buffer too small", 4 << 10, 1000, time.Millisecond, time.Millisecond},
	} {
		if got := receivePeriod(c.buffer, c.timers, c.interval); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestStrangeDatagramsAreNotRecorded(t *testing.T) {
	g := newGrid(1, time.Millisecond, 0, 2*time.Millisecond, 0)
	mark := func(timer, deadline int) []byte {
		var datagram [markLength]byte
		putMark(datagram[:], timer, deadline)
		return datagram[:]
	}
	for _, datagram := range [][]byte{nil, make([]byte, markLength+1), mark(1, 0), mark(0, 2)} {
		record(g, datagram, 0)
	}
	if open := g.open.Load(); open != 2 {
		t.Errorf("%d deadlines open, want both", open)
	}
	record(g, mark(0, 1), g.timers[0].due(1))
	if open := g.open.Load(); open != 1 {
		t.Errorf("%d deadlines open, want one", open)
	}
}
