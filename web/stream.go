package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// historySamples is how many Samples a reloaded page gets: two minutes at two a second.
const historySamples = 240

// slowPage is how long one write to an admin page may take before its stream is ended; the page comes back by itself.
const slowPage = 10 * time.Second

// feed hands each published State to the open streams. A page that is slow misses States, never delays others.
type feed struct {
	mu    sync.Mutex
	hello Hello
	// sample is the latest, describe makes a State of it; nil before the first.
	sample   Sample
	describe func(Sample) State
	history  []Sample
	readers  map[chan State]struct{}
	closed   bool
}

func newFeed(hello Hello) *feed {
	return &feed{hello: hello, readers: map[chan State]struct{}{}}
}

func (f *feed) publish(sample Sample, describe func(Sample) State) {
	if !f.note(sample, describe) {
		return
	}
	s := describe(sample)
	f.mu.Lock()
	defer f.mu.Unlock()
	for reader := range f.readers {
		select {
		case reader <- s:
		default:
		}
	}
}

// note keeps the sample, and reports whether somebody is looking.
func (f *feed) note(sample Sample, describe func(Sample) State) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sample, f.describe = sample, describe
	if len(f.history) == historySamples {
		f.history = append(f.history[:0], f.history[1:]...)
	}
	f.history = append(f.history, sample)
	return len(f.readers) > 0
}

// current returns the page's first paint.
func (f *feed) current() (Hello, State) {
	f.mu.Lock()
	hello, sample, describe := f.hello, f.sample, f.describe
	hello.History = append([]Sample{}, f.history...)
	f.mu.Unlock()
	if describe == nil {
		return hello, State{Sample: sample}
	}
	return hello, describe(sample)
}

// subscribe returns the States from now on; the channel is closed when the feed closes.
func (f *feed) subscribe() (states chan State, unsubscribe func()) {
	states = make(chan State, 2)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		close(states)
		return states, func() {}
	}
	f.readers[states] = struct{}{}
	return states, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, states)
	}
}

// close ends all streams.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for reader := range f.readers {
		close(reader)
	}
	clear(f.readers)
}

// serveStream is the server-sent events endpoint: one "hello", then a "state" for each State.
func (f *feed) serveStream(w http.ResponseWriter, r *http.Request) {
	states, unsubscribe := f.subscribe()
	defer unsubscribe()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	connection := http.NewResponseController(w)
	hello, state := f.current()
	if writeEvent(w, connection, "hello", hello) != nil || writeEvent(w, connection, "state", state) != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case state, open := <-states:
			if !open || writeEvent(w, connection, "state", state) != nil {
				return
			}
		}
	}
}

func writeEvent(w http.ResponseWriter, connection *http.ResponseController, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s event: %w", name, err)
	}
	_ = connection.SetWriteDeadline(time.Now().Add(slowPage)) // Not every writer has deadlines; the write itself tells.
	if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data); err != nil {
		return err
	}
	return connection.Flush()
}
