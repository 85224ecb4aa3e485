package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"tourbillon/timing"
)

// Labels of the data channels.
const (
	// EchoChannel sends back what it gets, as binary: eight bytes of the instant at which it came, eight of that at
	// which it leaves (nanoseconds of the appliance's monotonic clock, big endian), and the message.
	EchoChannel = "echo"
	// MeasureChannel takes a MeasureRequest.
	MeasureChannel = "measure"
)

const (
	// echoHeader is the size of the two instants.
	echoHeader = 16
	// maxChannels is how many data channels a call may open.
	maxChannels = 8
	// maxBuffered is how much of a channel may wait for a caller who does not read; what comes on top is dropped.
	maxBuffered = 256 << 10
)

// serve takes a data channel of the caller's. It runs on pion's goroutine, as do the channel's callbacks.
func (c *incoming) serve(channel *webrtc.DataChannel) {
	if c.opened.Add(1) > maxChannels {
		c.stopFor(EndFlood, &CallError{
			Kind: ErrBound, Wrong: fmt.Sprintf("more than %d data channels", maxChannels), Remedy: "open few channels; those of a closed one count, too",
		})
		return
	}
	if c.config.Opened != nil {
		channel.OnOpen(func() { c.config.Opened(c.from) })
	}
	switch channel.Label() {
	case EchoChannel:
		channel.OnMessage(func(m webrtc.DataChannelMessage) { c.echo(channel, m) })
	case MeasureChannel:
		x := &measurement{call: c, channel: channel}
		channel.OnMessage(x.receive)
		channel.OnClose(x.stop)
		c.measurements.add(x)
	default:
		c.config.Log.Debug("a data channel without use", "peer", c.from.Peer)
		_ = channel.Close() // It may be closed already.
	}
}

// carry counts what goes over the data channels; false when it is more than a call may carry.
func (c *incoming) carry(bytes int) bool {
	c.used.Store(int64(c.config.Clock.Now()))
	if c.bytes.Add(int64(bytes)) > c.config.Limits.Bytes {
		c.stopFor(EndFlood, reached("agents.bytes", "carried more than %d bytes", c.config.Limits.Bytes))
		return false
	}
	return true
}

// admit counts a message of the caller's; false when it came too fast, or when the call has carried enough.
func (c *incoming) admit(bytes int) bool {
	switch {
	case !c.carry(bytes):
		return false
	case !c.allowance.take(c.config.Clock.Now()):
		c.dropped.Add(1)
		c.tellDropped()
		return false
	}
	return true
}

// DroppedEvery is how often at most a caller is told that its messages are dropped.
const DroppedEvery = 10 * time.Second

func (c *incoming) tellDropped() {
	if c.over() {
		return
	}
	now, last := c.config.Clock.Now(), c.warned.Load()
	if last != int64(timing.Never) && now.Sub(timing.Instant(last)) < DroppedEvery || !c.warned.CompareAndSwap(last, int64(now)) {
		return
	}
	limit := c.config.Limits.MessagesPerSecond
	c.reply.Dropped(&CallError{
		Kind: ErrTooMany, Wrong: fmt.Sprintf("more than %d messages in a second on the data channels: some are dropped", limit),
		Remedy: fmt.Sprintf("send at most %d a second; who operates the server sets agents.messages_per_second", limit),
	})
}

func (c *incoming) echo(channel *webrtc.DataChannel, m webrtc.DataChannelMessage) {
	came := c.config.Clock.Now()
	if !c.admit(len(m.Data)) || channel.BufferedAmount() > maxBuffered || !c.carry(len(m.Data)+echoHeader) {
		return
	}
	back := make([]byte, echoHeader, echoHeader+len(m.Data))
	back = append(back, m.Data...)
	binary.BigEndian.PutUint64(back, uint64(came))
	binary.BigEndian.PutUint64(back[8:], uint64(c.config.Clock.Now()))
	_ = channel.Send(back) // A closing channel, or a message over its limit: the caller misses it.
}

// measurement is a measure channel: at most one series at a time.
type measurement struct {
	call    *incoming
	channel *webrtc.DataChannel

	// mu guards what follows; nothing is sent under it.
	mu      sync.Mutex
	series  *series
	ticks   *timing.Periodic
	grace   timing.Timer
	stopped bool
}

func (x *measurement) receive(m webrtc.DataChannelMessage) {
	if !x.call.admit(len(m.Data)) {
		return
	}
	if !m.IsString {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.series != nil {
			x.series.echo(m.Data, x.call.config.Clock.Now())
		}
		return
	}
	if err := x.begin(m.Data); err != nil {
		x.tell(struct {
			Error string `json:"error"`
		}{err.Error()})
	}
}

func (x *measurement) begin(request []byte) error {
	s, err := readSeries(request)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.series != nil || x.stopped {
		return errors.New("a measurement is under way")
	}
	clock := x.call.config.Clock
	x.series = s
	x.ticks = timing.Every(clock, clock.Now(), s.every, func(timing.Tick) { x.tick() })
	return nil
}

func (x *measurement) tick() {
	x.mu.Lock()
	if x.stopped || x.series == nil || x.grace != nil {
		x.mu.Unlock()
		return
	}
	probe := x.series.next(x.call.config.Clock.Now())
	if probe == nil {
		x.ticks.Stop()
		x.grace = x.call.config.Clock.AfterFunc(probeGrace, x.finish)
	}
	x.mu.Unlock()
	if probe != nil && x.channel.BufferedAmount() <= maxBuffered && x.call.carry(len(probe)) {
		_ = x.channel.Send(probe) // Not sent is lost.
	}
}

func (x *measurement) finish() {
	x.mu.Lock()
	result, stopped := x.series.result(), x.stopped
	x.series, x.grace = nil, nil
	x.mu.Unlock()
	if !stopped {
		x.tell(result)
	}
}

func (x *measurement) tell(answer any) {
	text, err := json.Marshal(answer)
	if err == nil && x.channel.BufferedAmount() <= maxBuffered {
		_ = x.channel.SendText(string(text)) // A closing channel.
	}
}

// stop ends the timers.
func (x *measurement) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopped = true
	if x.ticks != nil {
		x.ticks.Stop()
	}
	if x.grace != nil {
		x.grace.Stop()
	}
}

// measurements are those of one call.
type measurements struct {
	mu  sync.Mutex
	all []*measurement
}

func (m *measurements) add(x *measurement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, x)
}

func (m *measurements) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.all {
		x.stop()
	}
}
