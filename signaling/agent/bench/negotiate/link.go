package negotiate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tourbillon/timing"
)

// linkOrder asks for a link.
type linkOrder struct {
	// Loss is in percent, Delay for one way.
	Loss  float64       `json:"loss"`
	Delay time.Duration `json:"delay_ns"`
	Seed  uint64        `json:"seed"`
	// Signaling is the host:port that the delayed way to signaling ends at.
	Signaling string `json:"signaling"`
}

// linkPlaces is where a link is: its first line.
type linkPlaces struct {
	Datagrams string `json:"datagrams"`
	Signaling string `json:"signaling"`
}

// linkCounts is what a link says at its end.
type linkCounts struct {
	Packets     int `json:"packets"`
	Lost        int `json:"lost"`
	Retransmits int `json:"retransmits"`
}

// udpLink sends datagrams on, late or not at all.
type udpLink struct {
	order *linkOrder
	clock timing.Clock
	conn  *net.UDPConn

	// mu guards what follows. Nothing is sent under it.
	mu     sync.Mutex
	hosts  map[netip.AddrPort]netip.AddrPort // Addresses of the arm's hosts to those of their sockets.
	sent   map[flow]uint64
	counts linkCounts
	count  *counter
	queue  []queued
	more   chan struct{} // Has room for one word that the queue is not empty.
}

// queued is a datagram that leaves when it is due; all are late by the same time, so that they are in order.
type queued struct {
	due  timing.Instant
	to   netip.AddrPort
	data []byte
}

// run is the link until in ends.
func (o *linkOrder) run(in io.Reader, out io.Writer) error {
	clock, end := linkClock()
	defer end()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("open the link: %w", err)
	}
	l := newUDPLink(o, clock, conn)
	proxy, err := openProxy(clock, o.Delay, o.Signaling)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { l.read() })
	running.Go(func() { l.write(over) })
	encoder := json.NewEncoder(out)
	err = encoder.Encode(linkPlaces{conn.LocalAddr().String(), proxy.address()})
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	close(over)
	err = errors.Join(err, conn.Close(), proxy.close())
	running.Wait()
	return errors.Join(err, encoder.Encode(l.total()))
}

// linkClock is the engine, in every arm alike, or package time where the machine does not have it.
func linkClock() (clock timing.Clock, end func()) {
	engine, err := timing.NewEngine()
	if err != nil {
		return timing.Runtime{}, func() {}
	}
	return engine, func() { _ = engine.Close() } // Ends the process's only user of it.
}

func newUDPLink(o *linkOrder, clock timing.Clock, conn *net.UDPConn) *udpLink {
	return &udpLink{
		order: o, clock: clock, conn: conn, hosts: map[netip.AddrPort]netip.AddrPort{}, sent: map[flow]uint64{},
		count: newCounter(), more: make(chan struct{}, 1),
	}
}

func (l *udpLink) total() linkCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := l.counts
	total.Retransmits = l.count.retransmits
	return total
}

// read takes datagrams until the socket is closed.
func (l *udpLink) read() {
	buffer := make([]byte, 1<<16)
	for {
		n, socket, err := l.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // An arm's socket that is closed refuses what is under way to it.
		}
		l.take(buffer[:n], socket, l.clock.Now())
	}
}

func (l *udpLink) take(datagram []byte, socket netip.AddrPort, now timing.Instant) {
	from, to, err := head(datagram)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch to {
	case newCount:
		l.counts, l.count = linkCounts{}, newCounter()
		fallthrough
	case registration:
		l.hosts[from] = socket
		l.push(queued{now, socket, slices.Clone(datagram)})
		return
	}
	f := flow{from, to}
	l.sent[f]++
	l.counts.Packets++
	l.count.sent(f, datagram[headBytes:])
	if l.order.lose(f, l.sent[f]) {
		l.counts.Lost++
		return
	}
	l.count.delivered(f, datagram[headBytes:])
	if socket, known := l.hosts[to]; known {
		l.push(queued{now.Add(l.order.Delay), socket, slices.Clone(datagram)})
	}
}

// push keeps the queue in order: what is for the link itself is due at once.
func (l *udpLink) push(q queued) {
	at := len(l.queue)
	for at > 0 && l.queue[at-1].due > q.due {
		at--
	}
	l.queue = slices.Insert(l.queue, at, q)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// lose draws the fate of a flow's n-th datagram. The address of the calling side, which is of that negotiation alone,
// and the direction are all that counts of the flow.
func (o *linkOrder) lose(f flow, n uint64) bool {
	caller, back := f.from, uint64(0)
	if !callers.Contains(caller.Addr()) {
		caller, back = f.to, 1
	}
	a := caller.Addr().As4()
	x := o.Seed
	for _, word := range []uint64{uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3]), uint64(caller.Port())<<1 | back, n} {
		x = mix(x ^ mix(word))
	}
	return float64(x>>11)/(1<<53)*100 < o.Loss
}

// mix is the finaliser of splitmix64, whose output bits depend on all of its input's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// write sends what is due until over is closed.
func (l *udpLink) write(over <-chan struct{}) {
	alarm := newAlarm(l.clock)
	defer alarm.stop()
	for {
		l.mu.Lock()
		var due []queued
		now, next := l.clock.Now(), timing.Never
		for len(l.queue) > 0 && l.queue[0].due <= now {
			due, l.queue = append(due, l.queue[0]), l.queue[1:]
		}
		if len(l.queue) > 0 {
			next = l.queue[0].due
		}
		l.mu.Unlock()
		for _, q := range due {
			_, _ = l.conn.WriteToUDPAddrPort(q.data, q.to) // To a closed socket: nobody waits for it.
		}
		if len(due) > 0 {
			continue
		}
		alarm.set(next)
		select {
		case <-alarm.rung:
		case <-l.more:
		case <-over:
			return
		}
	}
}

// alarm is a timer with a channel, on any clock.
type alarm struct {
	clock timing.Clock
	timer timing.Timer
	rung  chan struct{}
}

func newAlarm(clock timing.Clock) *alarm { return &alarm{clock: clock, rung: make(chan struct{}, 1)} }

func (a *alarm) ring() {
	select {
	case a.rung <- struct{}{}:
	default:
	}
}

// set has the alarm ring at an instant, and at no other; at Never it does not.
func (a *alarm) set(at timing.Instant) {
	a.stop()
	switch {
	case at == timing.Never:
	case a.timer == nil:
		a.timer = a.clock.At(at, a.ring)
	default:
		a.timer.ResetAt(at)
	}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
