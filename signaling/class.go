package signaling

import (
	"fmt"
	"sync"
	"time"
)

// Class is a kind of client, which has its own default heartbeat.
type Class string

// The classes of the protocol.
const (
	// ClassBrowser is a page, whose timers are throttled in the background. It is the default.
	ClassBrowser Class = "browser"
	// ClassNative is a program.
	ClassNative Class = "native"
	// ClassAll stands for every class where one is asked for.
	ClassAll Class = "all"
)

func (c Class) known() bool { return c == ClassBrowser || c == ClassNative }

// The bounds of every heartbeat interval (DESIGN section 5).
const (
	minHeartbeat = time.Millisecond
	maxHeartbeat = 5 * time.Second
)

// paces keeps the heartbeat interval of each class. Its methods are safe for concurrent use.
type paces struct {
	// least is the shortest interval that a client is granted.
	least time.Duration

	mu      sync.Mutex
	byClass map[Class]time.Duration
}

func newPaces(c Config) *paces {
	return &paces{
		least:   c.HeartbeatMin,
		byClass: map[Class]time.Duration{ClassBrowser: c.Heartbeat, ClassNative: c.HeartbeatNative},
	}
}

// of returns the interval of a class.
func (p *paces) of(class Class) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byClass[class]
}

// grant returns the interval for a client that asks for one in milliseconds; 0 asks for none.
func (p *paces) grant(class Class, ms int64) time.Duration {
	if ms <= 0 {
		return p.of(class)
	}
	ms = min(ms, maxHeartbeat.Milliseconds()) // Before it could overflow.
	return max(time.Duration(ms)*time.Millisecond, p.least)
}

// set changes the interval of one class or all.
func (p *paces) set(class Class, interval time.Duration) error {
	switch {
	case interval < minHeartbeat || interval > maxHeartbeat:
		return fmt.Errorf("heartbeat of %v: choose %v to %v", interval, minHeartbeat, maxHeartbeat)
	case class != ClassAll && !class.known():
		return fmt.Errorf("client class %s: choose all, browser or native", quote(string(class)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for known := range p.byClass {
		if class == ClassAll || class == known {
			p.byClass[known] = interval
		}
	}
	return nil
}
