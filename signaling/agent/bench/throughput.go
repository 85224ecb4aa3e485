package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

// How the sender sends: messages of a size that every browser takes, and no more of them on their way than a UDP socket
// holds by default (208 KiB with the kernel's overhead). Without that limit packets would be lost, and the throughput
// would tell how many of SCTP's retransmission timeouts, of a second and more, fell into the measurement; with SCTP's own
// window for a limit, how many delayed acknowledgements of 200 ms.
const (
	messageSize  = 16 << 10
	mostUnderWay = 96 << 10
)

// sendWarmUp is not counted: the congestion window opens in it.
const sendWarmUp = 500 * time.Millisecond

// flow is what reached the callee: bytes per second, and the whole process's CPU for a million of them.
type flow struct {
	bytesPerSecond float64
	cpuPerMB       time.Duration
}

// throughput has the caller send for the duration and returns what reached the callee. It blocks for as long, or until
// ctx ends. The pair has to be connected; it may be closed afterwards, no more.
func (p *pair) throughput(ctx context.Context, clock timing.Clock, duration time.Duration) (f flow, err error) {
	ctx, stop := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- p.send(ctx) }()
	defer func() {
		stop()
		err = errors.Join(err, <-sent)
	}()
	if err := p.wait(ctx, clock, sendWarmUp); err != nil {
		return flow{}, err
	}
	start, before, cpu := clock.Now(), p.received.Load(), rounds.CPUTime()
	if err := p.wait(ctx, clock, duration); err != nil {
		return flow{}, err
	}
	bytes := float64(p.received.Load() - before)
	if bytes == 0 {
		return flow{}, fmt.Errorf("nothing arrived in %v", duration)
	}
	return flow{
		bytesPerSecond: bytes / clock.Now().Sub(start).Seconds(),
		cpuPerMB:       time.Duration(float64(rounds.CPUTime()-cpu) / bytes * 1e6),
	}, nil
}

// send keeps mostUnderWay bytes on their way until ctx ends.
func (p *pair) send(ctx context.Context) error {
	message, sent := make([]byte, messageSize), int64(0)
	for ctx.Err() == nil {
		if sent-p.received.Load() < mostUnderWay {
			if err := p.channel.Send(message); err != nil {
				return fmt.Errorf("send on the data channel: %w", err)
			}
			sent += messageSize
			continue
		}
		select {
		case <-p.arrived:
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
