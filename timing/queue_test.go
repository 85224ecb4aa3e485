package timing

import "testing"

// TestQueueGivesItsPlacesBack fills a queue to a peak and empties it again.
func TestQueueGivesItsPlacesBack(t *testing.T) {
	var q queue
	const peak = 10_000
	timers := make([]*engineTimer, peak)
	for i := range timers {
		timers[i] = &engineTimer{index: notQueued}
		q.put(timers[i], Instant(i))
	}
	for _, timer := range timers {
		q.remove(timer)
	}
	if places := cap(q.timers); places > 2*leastPlaces {
		t.Errorf("%d places are kept after %d timers have left", places, peak)
	}
}
