package timing

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBackstopsFireWithoutTheKernelsWaker(t *testing.T) {
	for name, nearby := range map[string]time.Duration{"its own": time.Hour, "one that it is given when it comes near": time.Millisecond} {
		e := startEngine(newSilentWaker(), nearby)
		fired := make(chan struct{})
		e.AfterFunc(5*time.Millisecond, func() { close(fired) })
		awaitFiring(t, "a timer by "+name, fired)
		_ = e.Close()
	}
}

// TestStalledHolderDelaysNobody keeps the queue's lock, as a goroutine does that lost its processor inside, while other
// timers are armed, stopped and fall due.
func TestStalledHolderDelaysNobody(t *testing.T) {
	e, err := NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	queued := make(chan struct{})
	e.AfterFunc(5*time.Millisecond, func() { close(queued) })
	e.mu.Lock()
	fresh := make(chan struct{})
	e.AfterFunc(5*time.Millisecond, func() { close(fresh) })
	if !e.AfterFunc(time.Hour, func() {}).Stop() {
		t.Error("Stop while the queue is held: false, want true")
	}
	var late atomic.Bool
	inTime := e.AfterFunc(time.Millisecond, func() { late.Store(true) }).Stop() // Or the machine took a millisecond for it.
	awaitFiring(t, "a timer that was queued before the stall", queued)
	awaitFiring(t, "a timer armed during the stall", fresh)
	e.mu.Unlock()
	after := make(chan struct{})
	e.AfterFunc(0, func() { close(after) })
	awaitFiring(t, "a timer after the stall", after)
	if inTime && late.Load() {
		t.Error("a stopped timer fired")
	}
}

// TestStalledCallbackDelaysNobody blocks inside a callback, inline and not, of one of many timers of one deadline.
func TestStalledCallbackDelaysNobody(t *testing.T) {
	e, err := NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 20
	release := make(chan struct{})
	var others sync.WaitGroup
	others.Add(2 * n)
	at := e.Now().Add(20 * time.Millisecond)
	for _, clock := range []Clock{e, e.Inline()} {
		clock.At(at, func() { <-release })
		for range n {
			clock.At(at, others.Done)
		}
	}
	all := make(chan struct{})
	go func() {
		others.Wait()
		close(all)
	}()
	awaitFiring(t, "each other timer of the deadline", all)
	close(release)
}

// TestWakerIsToldTheEarliestDeadline has an earlier timer armed while the waker is just being told of a later one.
func TestWakerIsToldTheEarliestDeadline(t *testing.T) {
	e, w := startSilent(t, nearby)
	early, late := e.Now().Add(time.Hour), e.Now().Add(2*time.Hour)
	var once sync.Once
	w.onArm = func(at Instant) {
		if at != late {
			return
		}
		once.Do(func() {
			e.At(early, func() {})
			w.told.Store(int64(late)) // The interrupted call takes effect last.
		})
	}
	e.At(late, func() {})
	if told := Instant(w.told.Load()); told != early {
		t.Errorf("the waker was last told %v, want the earliest deadline", told.Sub(early))
	}
}

// FuzzQueue arms, moves and removes timers at random and compares with a sorted list.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{1, 5, 2, 3, 0, 9, 250, 1, 1, 7})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var q queue
		timers := make([]*engineTimer, 8)
		model := map[*engineTimer]Instant{}
		for i := range timers {
			timers[i] = &engineTimer{index: notQueued}
			timers[i].key.Store(int64(Never))
			timers[i].due.Store(int64(disarmed))
		}
		for i := 0; i+1 < len(steps); i += 2 {
			timer, key := timers[steps[i]%8], Instant(steps[i+1])
			if steps[i] < 64 {
				q.remove(timer)
				delete(model, timer)
				timer.due.Store(int64(disarmed))
				if q.len() > 0 && q.another() == nil {
					t.Fatalf("step %d: no timer to look at, of %d", i, q.len())
				}
			} else {
				timer.due.Store(int64(key))
				q.put(timer, key)
				model[timer] = key
			}
			smallest := Never
			for _, k := range model {
				smallest = min(smallest, k)
			}
			if q.next() != smallest || q.len() != len(model) {
				t.Fatalf("step %d: the queue's head is %d of %d, want %d of %d", i, q.next(), q.len(), smallest, len(model))
			}
		}
		last := Instant(-1)
		for q.len() > 0 {
			head := q.first()
			if head.keyLocked() < last || model[head] != head.keyLocked() {
				t.Fatalf("%d comes after %d", head.keyLocked(), last)
			}
			last = head.keyLocked()
			q.remove(head)
		}
	})
}
