package timing

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"
)

// slotTick is the span of one slot.
const slotTick = Instant(time.Millisecond)

// slotQueue is the heap's rival, kept for the benchmark: slots of a millisecond in a ring of a power of two, each a
// doubly linked list, a bitmap that finds the next occupied one, and exact order within a slot by looking through it.
// Timers that are more than one turn of the ring away share the slots with near ones.
type slotQueue struct {
	slots    []slotTimer // List heads.
	occupied []uint64
	pending  int
	now      Instant
}

type slotTimer struct {
	key        Instant
	prev, next *slotTimer
	slot       int
}

func newSlotQueue(slots int, now Instant) *slotQueue {
	q := &slotQueue{slots: make([]slotTimer, slots), occupied: make([]uint64, slots/64), now: now}
	for i := range q.slots {
		q.slots[i].prev, q.slots[i].next = &q.slots[i], &q.slots[i]
	}
	return q
}

func (q *slotQueue) put(t *slotTimer, key Instant) {
	q.remove(t)
	t.key = max(key, q.now)
	t.slot = int(t.key/slotTick) & (len(q.slots) - 1)
	head := &q.slots[t.slot]
	t.prev, t.next = head.prev, head
	t.prev.next, head.prev = t, t
	q.occupied[t.slot/64] |= 1 << (t.slot % 64)
	q.pending++
}

func (q *slotQueue) remove(t *slotTimer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.prev, t.next = nil, nil
	if head := &q.slots[t.slot]; head.next == head {
		q.occupied[t.slot/64] &^= 1 << (t.slot % 64)
	}
	q.pending--
}

// first returns the timer with the smallest key: that of the first occupied slot which holds one of this turn, or else
// the smallest of a later turn.
func (q *slotQueue) first() *slotTimer {
	var later *slotTimer
	start := int(q.now/slotTick) & (len(q.slots) - 1)
	for seen := 0; seen < len(q.slots); {
		slot := (start + seen) & (len(q.slots) - 1)
		skip := bits.TrailingZeros64(q.occupied[slot/64] >> (slot % 64))
		if skip >= 64-slot%64 {
			seen += 64 - slot%64
			continue
		}
		seen += skip
		slot = (start + seen) & (len(q.slots) - 1)
		endOfSlot := (q.now/slotTick + Instant(seen) + 1) * slotTick
		best := q.smallest(slot)
		if best.key < endOfSlot {
			return best
		}
		if later == nil || best.key < later.key {
			later = best
		}
		seen++
	}
	return later
}

func (q *slotQueue) smallest(slot int) *slotTimer {
	head := &q.slots[slot]
	best := head.next
	for t := best.next; t != head; t = t.next {
		if t.key < best.key {
			best = t
		}
	}
	return best
}

// TestSlotQueueAgainstHeap holds the rival to the same answers, or the comparison would be worth nothing.
func TestSlotQueueAgainstHeap(t *testing.T) {
	const n = 300
	random := rand.New(rand.NewPCG(1, 2))
	slots, heap := newSlotQueue(128, 0), queue{}
	rivals, ours := make([]slotTimer, n), heapTimers(n)
	for step := range 20_000 {
		i := random.IntN(n)
		if random.IntN(3) == 0 {
			slots.remove(&rivals[i])
			heap.remove(ours[i])
		} else {
			key := slots.now + Instant(random.Int64N(int64(300*slotTick)))
			slots.put(&rivals[i], key)
			heap.put(ours[i], key)
		}
		if heap.len() != slots.pending {
			t.Fatalf("step %d: %d and %d timers", step, heap.len(), slots.pending)
		}
		if first := slots.first(); first != nil && first.key != heap.next() {
			t.Fatalf("step %d: the slots' first is %d, the heap's %d", step, first.key, heap.next())
		}
		if step%10 == 0 && heap.len() > 0 {
			slots.now = heap.next()
		}
	}
}

func heapTimers(n int) []*engineTimer {
	timers := make([]*engineTimer, n)
	for i := range timers {
		timers[i] = &engineTimer{index: notQueued}
		timers[i].key.Store(int64(Never))
	}
	return timers
}

// deadlines spread over 40 s, the longest wait of a STUN transaction.
func benchmarkDeadline(random *rand.Rand, now Instant) Instant {
	return now + Instant(random.Int64N(int64(40*time.Second)))
}

// BenchmarkQueue compares the heap with slots: arming and cancelling, and taking the first timer out and arming it
// again, with many timers pending.
func BenchmarkQueue(b *testing.B) {
	for _, pending := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("heap/pending=%d", pending), func(b *testing.B) { benchmarkHeap(b, pending) })
		for _, slots := range []int{4096, 65536} {
			b.Run(fmt.Sprintf("slots=%d/pending=%d", slots, pending), func(b *testing.B) { benchmarkSlots(b, pending, slots) })
		}
	}
}

func benchmarkHeap(b *testing.B, pending int) {
	random := rand.New(rand.NewPCG(1, 2))
	var q queue
	timers := heapTimers(pending + 1)
	for _, t := range timers[1:] {
		q.put(t, benchmarkDeadline(random, 0))
	}
	b.Run("arm+cancel", func(b *testing.B) {
		for b.Loop() {
			q.put(timers[0], benchmarkDeadline(random, 0))
			q.remove(timers[0])
		}
	})
	b.Run("expire+arm", func(b *testing.B) {
		for b.Loop() {
			t := q.first()
			now := t.keyLocked()
			q.remove(t)
			q.put(t, benchmarkDeadline(random, now))
		}
	})
	for _, t := range timers[1:] {
		q.put(t, lifetime(random))
	}
	b.Run("near among far", func(b *testing.B) {
		for b.Loop() {
			q.put(timers[0], Instant(time.Second))
			q.remove(timers[0])
			q.first()
		}
	})
}

// lifetime spreads deadlines over the lifetimes of TURN, 5 to 10 minutes: more than a turn of the ring away.
func lifetime(random *rand.Rand) Instant {
	return Instant(5*time.Minute) + Instant(random.Int64N(int64(5*time.Minute)))
}

func benchmarkSlots(b *testing.B, pending, slots int) {
	random := rand.New(rand.NewPCG(1, 2))
	q := newSlotQueue(slots, 0)
	timers := make([]slotTimer, pending+1)
	for i := range timers[1:] {
		q.put(&timers[i+1], benchmarkDeadline(random, 0))
	}
	b.Run("arm+cancel", func(b *testing.B) {
		for b.Loop() {
			q.put(&timers[0], benchmarkDeadline(random, q.now))
			q.remove(&timers[0])
		}
	})
	b.Run("expire+arm", func(b *testing.B) {
		for b.Loop() {
			t := q.first()
			q.now = t.key
			q.remove(t)
			q.put(t, benchmarkDeadline(random, q.now))
		}
	})
	q.now = 0
	for i := range timers[1:] {
		q.put(&timers[i+1], lifetime(random))
	}
	b.Run("near among far", func(b *testing.B) {
		for b.Loop() {
			q.put(&timers[0], Instant(time.Second))
			q.remove(&timers[0])
			q.first()
		}
	})
}

// BenchmarkArmCancel compares whole clocks, deadlines near and far, 100,000 timers pending.
func BenchmarkArmCancel(b *testing.B) {
	engine, err := NewEngine()
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	for _, arm := range []struct {
		name  string
		clock Clock
	}{{"hrtimer", engine}, {"runtime", Runtime{}}} {
		var pending []Timer
		random := rand.New(rand.NewPCG(1, 2))
		for range 100_000 {
			pending = append(pending, arm.clock.AfterFunc(time.Hour+time.Duration(random.Int64N(int64(time.Hour))), func() {}))
		}
		for _, span := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
			b.Run(fmt.Sprintf("%s/%v", arm.name, span), func(b *testing.B) {
				b.ReportAllocs()
				t := arm.clock.AfterFunc(time.Hour, func() {})
				for b.Loop() {
					t.Reset(span)
					t.Stop()
				}
			})
			b.Run(fmt.Sprintf("%s/%v/parallel", arm.name, span), func(b *testing.B) {
				b.SetParallelism(4) // 8 goroutines on two processors.
				b.RunParallel(func(pb *testing.PB) {
					t := arm.clock.AfterFunc(time.Hour, func() {})
					for pb.Next() {
						t.Reset(span)
						t.Stop()
					}
				})
			})
		}
		for _, t := range pending {
			t.Stop()
		}
	}
}
