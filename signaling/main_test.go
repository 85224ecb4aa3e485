package signaling

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) {
	if arm := os.Getenv(idleArmVariable); arm != "" {
		serveIdleArm(arm)
		return
	}
	goleak.VerifyTestMain(m)
}

// patient goes by its short name here.
var patient = timingtest.Patient

// fakeSocket records what a connection sends. While stalled, Send blocks as on a network that has stopped.
type fakeSocket struct {
	changed chan struct{}
	aborts  chan struct{}

	mu      sync.Mutex
	stalled bool
	sent    []string
	code    uint16
	reason  string
	aborted bool
}

func newFakeSocket() *fakeSocket {
	return &fakeSocket{changed: make(chan struct{}, 1), aborts: make(chan struct{})}
}

func (s *fakeSocket) Send(parts ...[]byte) error {
	text := bytes.Join(parts, nil)
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled {
		<-s.aborts
		return os.ErrClosed
	}
	s.update(func() { s.sent = append(s.sent, string(text)) })
	return nil
}

func (s *fakeSocket) Close(code uint16, reason string) {
	s.update(func() { s.code, s.reason = code, reason })
}

func (s *fakeSocket) Abort() {
	s.update(func() {
		if !s.aborted {
			s.aborted = true
			close(s.aborts)
		}
	})
}

func (s *fakeSocket) update(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// await waits until the socket's state satisfies a condition.
func (s *fakeSocket) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := patient(t)
	for {
		s.mu.Lock()
		done := ok()
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("waiting for %s: sent %q, closed with %d %q, aborted %v", what, s.sent, s.code, s.reason, s.aborted)
		}
	}
}

// message waits for the next message of a type and takes it.
func (s *fakeSocket) message(t *testing.T, kind string) map[string]any {
	t.Helper()
	var found map[string]any
	s.await(t, kind, func() bool {
		for i, text := range s.sent {
			if m := object(text); m["type"] == kind {
				found, s.sent = m, slices.Delete(s.sent, i, i+1)
				return true
			}
		}
		return false
	})
	return found
}

func (s *fakeSocket) closedWith(t *testing.T, code uint16, reason string) {
	t.Helper()
	s.await(t, "the close frame", func() bool { return s.code != 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code != code || s.reason != reason {
		t.Errorf("closed with %d %q, want %d %q", s.code, s.reason, code, reason)
	}
}

func object(text string) map[string]any {
	var m map[string]any
	_ = json.Unmarshal([]byte(text), &m)
	return m
}

func long(n int) string { return strings.Repeat("x", n) }
