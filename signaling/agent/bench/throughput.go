package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tourbillon/timing"
)

// How the sender sends: messages of a size that every browser takes, and new ones when less than lowWater bytes wait, up
// to highWater.
const (
	messageSize = 16 << 10
	lowWater    = 512 << 10
	highWater   = 2 << 20
)

// sendWarmUp is not counted: the congestion window opens in it.
const sendWarmUp = 500 * time.Millisecond

// throughput has the caller send for the duration and returns the bytes per second that reached the callee. It blocks for
// as long, or until ctx ends. The pair has to be connected; it may be closed afterwards, no more.
func (p *pair) throughput(ctx context.Context, clock timing.Clock, duration time.Duration) (bytesPerSecond float64, err error) {
	ctx, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- p.send(ctx) }()
	defer func() {
		stop()
		err = errors.Join(err, <-sent)
	}()
	if err := p.wait(ctx, clock, sendWarmUp); err != nil {
		return 0, err
	}
	start, before := clock.Now(), p.received.Load()
	if err := p.wait(ctx, clock, duration); err != nil {
		return 0, err
	}
	return float64(p.received.Load()-before) / clock.Now().Sub(start).Seconds(), nil
}

// send keeps the channel's buffer filled until ctx ends.
func (p *pair) send(ctx context.Context) error {
	low := make(chan struct{}, 1)
	p.channel.SetBufferedAmountLowThreshold(lowWater)
	p.channel.OnBufferedAmountLow(func() {
		select {
		case low <- struct{}{}:
		default:
		}
	})
	message := make([]byte, messageSize)
	for ctx.Err() == nil {
		if err := p.channel.Send(message); err != nil {
			return fmt.Errorf("send on the data channel: %w", err)
		}
		if p.channel.BufferedAmount() < highWater {
			continue
		}
		select {
		case <-low:
		case <-p.ended:
			return errors.New("the connection ended while it was sending")
		case <-ctx.Done():
		}
	}
	return nil
}

// wait returns after d, and with an error when the connection or ctx ends first.
func (p *pair) wait(ctx context.Context, clock timing.Clock, d time.Duration) error {
	over := make(chan struct{})
	timer := clock.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-p.ended:
		return errors.New("the connection ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}
