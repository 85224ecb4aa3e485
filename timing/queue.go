package timing

// queue is an intrusive 4-ary min-heap of timers by deadline, then by order of arming. Each timer knows its index, so
// that cancelling one costs no search. It is not safe for concurrent use; the engine's mutex guards it.
type queue struct {
	timers []*engineTimer
	armed  uint64
}

const heapArity = 4

func (q *queue) len() int { return len(q.timers) }

// next returns the earliest deadline, Never when the queue is empty.
func (q *queue) next() Instant {
	if len(q.timers) == 0 {
		return Never
	}
	return q.timers[0].at
}

func (q *queue) push(t *engineTimer) {
	q.armed++
	t.order = q.armed
	t.index = len(q.timers)
	q.timers = append(q.timers, t)
	q.up(t.index)
}

func (q *queue) pop() *engineTimer {
	t := q.timers[0]
	q.remove(t)
	return t
}

func (q *queue) remove(t *engineTimer) {
	i, last := t.index, len(q.timers)-1
	moved := q.timers[last]
	q.timers[last] = nil
	q.timers = q.timers[:last]
	t.index = notQueued
	if i == last {
		return
	}
	q.place(moved, i)
	if q.up(i) == i {
		q.down(i)
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
	t.index = i
}
