package socket

import "sync"

// maxIdle is how many hands wait for work; more come when more is to be done at once.
const maxIdle = 32

// hands run what may block or needs a deep stack for the goroutines that read. The zero value has none. Whoever calls give
// is counted in tasks, and so are the hands.
type hands struct {
	tasks *sync.WaitGroup

	// mu guards what follows. dismissed is true once nobody is left who could call give.
	mu        sync.Mutex
	idle      []chan func()
	dismissed bool
}

// give has f run by a hand, and does not wait for it.
func (h *hands) give(f func()) { h.take() <- f }

// take returns where one hand waits for one thing to do; it does one at a time.
func (h *hands) take() chan func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dismissed = false
	if last := len(h.idle) - 1; last >= 0 {
		jobs := h.idle[last]
		h.idle[last] = nil
		h.idle = h.idle[:last]
		return jobs
	}
	jobs := make(chan func(), 1)
	h.tasks.Go(func() { h.work(jobs) })
	return jobs
}

func (h *hands) work(jobs chan func()) {
	for f := range jobs {
		f()
		f = nil // An idle hand keeps no connection alive.
		if !h.rest(jobs) {
			return
		}
	}
}

// rest makes a hand idle; false when there are enough.
func (h *hands) rest(jobs chan func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dismissed || len(h.idle) >= maxIdle {
		return false
	}
	h.idle = append(h.idle, jobs)
	return true
}

// dismiss ends the idle hands, and each other one when it is done.
func (h *hands) dismiss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dismissed = true
	for _, jobs := range h.idle {
		close(jobs)
	}
	h.idle = nil
}
