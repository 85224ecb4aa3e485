package signaling

import "sync"

// maxIdle is how many hands wait for work; more come when more is to be done at once.
const maxIdle = 32

// crew runs what needs a deep stack for the goroutines that read: those are as many as connections, and a stack that
// has once grown for JSON stays so while its goroutine waits in a read. The zero value has no hands. Whoever calls do
// is counted in tasks, and so are the hands.
type crew struct {
	tasks *sync.WaitGroup

	// mu guards what follows. dismissed is true once nobody is left who could call do.
	mu        sync.Mutex
	idle      []*hand
	dismissed bool
}

// hand is one goroutine of a crew. It does one thing at a time, for whoever took it from the idle ones. done has no
// buffer: who gave the job has to have seen its end before the hand can be taken for another.
type hand struct {
	jobs chan job
	done chan struct{}
}

// job is a message for a connection.
type job struct {
	conn   *conn
	text   []byte
	isText bool
}

// do has a job done and waits for its end.
func (w *crew) do(j job) {
	h := w.take()
	h.jobs <- j
	<-h.done
}

func (w *crew) take() *hand {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = false
	if last := len(w.idle) - 1; last >= 0 {
		h := w.idle[last]
		w.idle[last] = nil
		w.idle = w.idle[:last]
		return h
	}
	h := &hand{jobs: make(chan job, 1), done: make(chan struct{})}
	w.tasks.Go(func() { w.work(h) })
	return h
}

func (w *crew) work(h *hand) {
	for j := range h.jobs {
		j.conn.receive(j.text, j.isText)
		j = job{} // An idle hand keeps no connection alive.
		h.done <- struct{}{}
		if !w.rest(h) {
			return
		}
	}
}

// rest makes a hand idle; false when there are enough.
func (w *crew) rest(h *hand) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dismissed || len(w.idle) >= maxIdle {
		return false
	}
	w.idle = append(w.idle, h)
	return true
}

// dismiss ends the idle hands, and each other one when it is done.
func (w *crew) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dismissed = true
	for _, h := range w.idle {
		close(h.jobs)
	}
	w.idle = nil
}
