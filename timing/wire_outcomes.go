package timing

import "sync"

// wireOutcomes calls completion callbacks one after another on a goroutine of its own.
type wireOutcomes struct {
	served sync.WaitGroup

	// mu guards what follows; it is not held over a callback.
	mu      sync.Mutex
	more    sync.Cond
	queue   []wireOutcome
	stopped bool
}

type wireOutcome struct {
	done func(Sent)
	sent Sent
}

func (o *wireOutcomes) start() {
	o.more.L = &o.mu
	o.served.Go(o.serve)
}

func (o *wireOutcomes) add(done func(Sent), sent Sent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, wireOutcome{done, sent})
	o.more.Signal()
}

// stop lets what is queued be served and waits for it.
func (o *wireOutcomes) stop() {
	o.mu.Lock()
	o.stopped = true
	o.more.Signal()
	o.mu.Unlock()
	o.served.Wait()
}

func (o *wireOutcomes) serve() {
	var batch []wireOutcome
	for {
		batch = o.next(batch)
		if len(batch) == 0 {
			return
		}
		for _, outcome := range batch {
			outcome.done(outcome.sent)
		}
	}
}

// next exchanges the served batch for the queue; an empty one means the end.
func (o *wireOutcomes) next(served []wireOutcome) []wireOutcome {
	clear(served)
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.stopped {
		o.more.Wait()
	}
	batch := o.queue
	o.queue = served[:0]
	return batch
}
