package signaling

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tourbillon/signaling/socket"
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

// fakeSocket records what a connection sends. While stalled, Write blocks as on a network that has stopped.
type fakeSocket struct {
	changed chan struct{}
	cuts    chan struct{}

	mu      sync.Mutex
	stalled bool
	sent    []string
	code    uint16
	reason  string
	ended   bool
	aborted bool
	// parted, where set, is called once the close frame is written.
	parted func()
}

func newFakeSocket() *fakeSocket {
	return &fakeSocket{changed: make(chan struct{}, 1), cuts: make(chan struct{})}
}

func (s *fakeSocket) TryWrite(frames []byte) (int, error) {
	s.mu.Lock()
	stalled, aborted := s.stalled, s.aborted
	s.mu.Unlock()
	switch {
	case aborted:
		return 0, os.ErrClosed
	case stalled:
		return 0, nil
	}
	s.update(func() { s.takeFrames(frames) })
	return len(frames), nil
}

func (s *fakeSocket) Write(frames []byte) error {
	s.mu.Lock()
	stalled := s.stalled
	s.mu.Unlock()
	if stalled {
		<-s.cuts
		return os.ErrClosed
	}
	s.update(func() { s.takeFrames(frames) })
	return nil
}

// takeFrames notes whole frames of the server.
func (s *fakeSocket) takeFrames(frames []byte) {
	for len(frames) > 0 {
		size, head := int(frames[1]), 2
		switch size {
		case 126:
			size, head = int(binary.BigEndian.Uint16(frames[2:])), 4
		case 127:
			size, head = int(binary.BigEndian.Uint64(frames[2:])), 10
		}
		payload := frames[head : head+size]
		switch frames[0] {
		case 0x80 | socket.OpText:
			s.sent = append(s.sent, string(payload))
		case 0x80 | socket.OpClose:
			s.code, s.reason = binary.BigEndian.Uint16(payload), string(payload[2:])
		}
		frames = frames[head+size:]
	}
}

func (s *fakeSocket) CloseWrite() {
	s.update(func() { s.ended = true })
	if s.parted != nil {
		s.parted()
	}
}

func (s *fakeSocket) Cut() {
	s.update(func() {
		if !s.aborted {
			s.aborted = true
			close(s.cuts)
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
