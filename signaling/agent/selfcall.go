package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tourbillon/timing"
)

const (
	// measureEvery is the period of round-trip measurements while the call stands.
	measureEvery = time.Second
	// missesToFail is how many measurements in a row may go unanswered.
	missesToFail = 3
	// setUpLimit bounds gathering, checks and the handshakes of one attempt.
	setUpLimit = 15 * time.Second
	// firstPause and longestPause bound the doubling pause between attempts.
	firstPause, longestPause = time.Second, 30 * time.Second
)

// Relay is a TURN server with credentials for one call.
type Relay struct {
	URL, Username, Credential string
}

// Config is what a SelfCall needs.
type Config struct {
	Clock timing.Clock
	// Relay returns our own TURN server with fresh credentials; it does not block.
	Relay func() Relay
	Log   *slog.Logger
}

// SelfCall is the appliance's call to itself: two peer connections, each behind an allocation of our own TURN server,
// and a data channel between them on which round trips are measured.
type SelfCall struct {
	config Config

	mu     sync.Mutex
	status Status
}

// Status tells how the self-call stands.
type Status struct {
	// State is "starting", "connected" or "failed".
	State string
	// Reason says why the last attempt failed; empty while connected.
	Reason string
	// RTT is measured over the data channel: client, relay, relay, client and back.
	RTT timing.RTT
}

// NewSelfCall returns a call that Run places.
func NewSelfCall(c Config) *SelfCall {
	return &SelfCall{config: c, status: Status{State: "starting"}}
}

// Status returns how the call stands now.
func (s *SelfCall) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run places the call and places it again when it fails, until ctx ends. It returns when everything it started has
// ended.
func (s *SelfCall) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		err := s.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.Status().State == "connected" {
			pause = firstPause
		}
		s.set(Status{State: "failed", Reason: err.Error()})
		s.config.Log.Warn("self-call through our relay failed", "error", err, "again_in", pause)
		wait(ctx, s.config.Clock, pause)
		pause = min(2*pause, longestPause)
	}
}

// attempt sets one call up and measures on it until it fails; the error says why.
func (s *SelfCall) attempt(ctx context.Context) error {
	c, err := s.setUp(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	s.config.Log.Debug("self-call through our relay is connected")
	return s.measure(ctx, c)
}

func (s *SelfCall) setUp(ctx context.Context) (*call, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := s.config.Clock.AfterFunc(setUpLimit, func() {
		cancel(fmt.Errorf("not connected within %v", setUpLimit))
	})
	defer limit.Stop()
	return placeCall(ctx, s.config.Relay(), s.config.Log)
}

// measure sends the clock's instant each period and takes the round trip from its echo.
func (s *SelfCall) measure(ctx context.Context, c *call) error {
	clock := s.config.Clock
	beats := make(chan struct{}, 1)
	beat := timing.Every(clock, clock.Now(), measureEvery, func(timing.Tick) {
		select {
		case beats <- struct{}{}:
		default:
		}
	})
	defer beat.Stop()
	var rtt timing.RTT
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ended:
			return errors.New("the connection ended")
		case sent := <-c.echoes:
			missed = 0
			rtt.Observe(clock.Now().Sub(sent))
			s.set(Status{State: "connected", RTT: rtt})
		case <-beats:
			if missed++; missed > missesToFail {
				return fmt.Errorf("%d measurements in a row got no answer", missesToFail)
			}
			if err := c.send(clock.Now()); err != nil {
				return fmt.Errorf("send a measurement: %w", err)
			}
		}
	}
}

func (s *SelfCall) set(status Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, clock timing.Clock, d time.Duration) {
	over := make(chan struct{})
	timer := clock.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
	case <-ctx.Done():
	}
}
