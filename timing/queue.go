package timing

// queue is an intrusive 4-ary min-heap of timers by key, then by order of insertion. Each timer knows its place, so
// that removing one costs no search. It is not safe for concurrent use; the engine's mutex guards it.
//
// Its rival in the benchmark (queue_slots_test.go) is a ring of slots of a millisecond with a bitmap. Nanoseconds an
// operation, `go test -run '^$' -bench Queue ./timing`, two virtual CPUs, Go 1.26.8:
//
//	pending   operation         heap   4096 slots   65536 slots
//	1,000     arm, cancel         69           49            56
//	1,000     expire, arm        389          257           197
//	1,000     near among far     181       11,772        20,121
//	100,000   arm, cancel         93           42           102
//	100,000   expire, arm      1,471        1,473           448
//	100,000   near among far     326   15,266,441     7,294,463
//
// Near among far arms and cancels one timer of a second beside lifetimes of 5 to 10 minutes, more than a turn of the ring
// away: the slots must then look through them for the next one. A relay's timers are like that, so the heap stays.
type queue struct {
	timers   []*engineTimer
	inserted uint64
	cursor   int
}

const (
	heapArity = 4
	// leastPlaces is how many places a queue keeps, however few timers it holds.
	leastPlaces = 64
)

func (q *queue) len() int { return len(q.timers) }

// first returns the timer with the smallest key, nil when the queue is empty.
func (q *queue) first() *engineTimer {
	if len(q.timers) == 0 {
		return nil
	}
	return q.timers[0]
}

// next returns the smallest key, Never when the queue is empty.
func (q *queue) next() Instant {
	if t := q.first(); t != nil {
		return t.keyLocked()
	}
	return Never
}

// another returns one timer after the other, round and round; nil when the queue is empty.
func (q *queue) another() *engineTimer {
	if len(q.timers) == 0 {
		return nil
	}
	q.cursor = (q.cursor + 1) % len(q.timers)
	return q.timers[q.cursor]
}

// put inserts the timer under a key, or moves it there.
func (q *queue) put(t *engineTimer, key Instant) {
	if t.index == notQueued {
		t.index = int32(len(q.timers))
		q.timers = append(q.timers, t)
	}
	q.inserted++
	t.order = q.inserted
	t.key.Store(int64(key))
	if i := int(t.index); q.up(i) == i {
		q.down(i)
	}
}

// remove takes the timer out, if it is in.
func (q *queue) remove(t *engineTimer) {
	i, last := int(t.index), len(q.timers)-1
	if t.index == notQueued {
		return
	}
	moved := q.timers[last]
	q.timers[last] = nil
	q.timers = q.timers[:last]
	q.giveBack()
	t.index = notQueued
	t.key.Store(int64(Never))
	if i == last {
		return
	}
	q.place(moved, i)
	if q.up(i) == i {
		q.down(i)
	}
}

// giveBack moves to a smaller slice when three quarters of it are empty.
func (q *queue) giveBack() {
	if n := cap(q.timers); n > leastPlaces && len(q.timers) < n/4 {
		q.timers = append(make([]*engineTimer, 0, n/2), q.timers...)
	}
}

func (q *queue) up(i int) int {
	t := q.timers[i]
	for i > 0 {
		parent := (i - 1) / heapArity
		if !t.before(q.timers[parent]) {
			break
		}
		q.place(q.timers[parent], i)
		i = parent
	}
	q.place(t, i)
	return i
}

func (q *queue) down(i int) {
	t := q.timers[i]
	for {
		child := q.earliestChild(i)
		if child < 0 || !q.timers[child].before(t) {
			break
		}
		q.place(q.timers[child], i)
		i = child
	}
	q.place(t, i)
}

func (q *queue) earliestChild(i int) int {
	first := i*heapArity + 1
	if first >= len(q.timers) {
		return -1
	}
	best := first
	for c := first + 1; c < min(first+heapArity, len(q.timers)); c++ {
		if q.timers[c].before(q.timers[best]) {
			best = c
		}
	}
	return best
}

func (q *queue) place(t *engineTimer, i int) {
	q.timers[i] = t
	t.index = int32(i)
}
