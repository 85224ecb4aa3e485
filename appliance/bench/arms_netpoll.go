//go:build linux

package bench

import (
	"cmp"
	"container/heap"
	"slices"

	"tourbillon/timing"
)

// netpollArm is one timerfd in Go's own netpoller, read by one goroutine that serves a heap of timers: what a program
// gets that wants a kernel timer without a thread for it.
type netpollArm struct {
	nothingAside
	pacer *pacer
	clock timing.Clock
	ended chan struct{}
}

func newNetpollArm() (arm, error) {
	p, err := newPacer()
	if err != nil {
		return nil, err
	}
	return &netpollArm{pacer: p, clock: timing.Runtime{}}, nil
}

func (a *netpollArm) start(g *grid) error {
	queue := slices.Clone(dueHeap(g.timers)) // The grid keeps its own order.
	heap.Init(&queue)
	a.ended = make(chan struct{})
	go func() {
		defer close(a.ended)
		a.serve(queue)
	}()
	return nil
}

// serve ends with the last deadline, or when close makes waiting fail.
func (a *netpollArm) serve(queue dueHeap) {
	for len(queue) > 0 && a.pacer.waitUntil(queue[0].due(queue[0].next)) == nil {
		a.expire(&queue)
	}
}

func (a *netpollArm) expire(queue *dueHeap) {
	for len(*queue) > 0 {
		t := (*queue)[0]
		now := a.clock.Now()
		if t.due(t.next) > now {
			return
		}
		serveNow(t, t.next, now)
		if _, more := t.advance(); more {
			heap.Fix(queue, 0)
		} else {
			heap.Pop(queue)
		}
	}
}

func (a *netpollArm) facts() armFacts { return armFacts{policy: policyOther} }

func (a *netpollArm) close() error {
	err := a.pacer.close()
	if a.ended != nil {
		<-a.ended
	}
	return err
}

// dueHeap orders timers by their next deadline.
type dueHeap []*gridTimer

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return cmp.Less(h[i].due(h[i].next), h[j].due(h[j].next))
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(*gridTimer)) }
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}
