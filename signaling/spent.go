package signaling

import (
	"sync"
	"time"
)

// maxSpent bounds the tokens of one use that are remembered.
const maxSpent = 1 << 16

// spent remembers the tokens of one use until they expire by themselves. The zero value is empty. It lives as long as
// the process: a restarted server takes each once more. Its methods are safe for concurrent use.
type spent struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// spend uses a token up; false for one that was used, or when no more can be remembered.
func (s *spent) spend(id string, expires, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, used := s.until[id]; used {
		return false
	}
	if len(s.until) >= maxSpent && !s.forgetLocked(now) {
		return false
	}
	if s.until == nil {
		s.until = map[string]time.Time{}
	}
	s.until[id] = expires.Add(tokenLeeway)
	return true
}

// restore makes a token good again whose join was refused for another reason.
func (s *spent) restore(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, id)
}

func (s *spent) forgetLocked(now time.Time) bool {
	for id, until := range s.until {
		if now.After(until) {
			delete(s.until, id)
		}
	}
	return len(s.until) < maxSpent
}
