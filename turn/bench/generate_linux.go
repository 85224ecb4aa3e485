package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// drain is how long answers are waited for after the window; what comes later counts as lost.
	drain = 500 * time.Millisecond
	// presumedLost is when a message of the closed loop is given up and its place taken by another.
	presumedLost = 250 * time.Millisecond
	// messageHeader is what the generator writes at the head of a message: when it was sent, and by which client.
	messageHeader = 12
	channelHeader = 4
)

// generate carries out a workload and measures. It blocks until the end.
func generate(w workload) (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.SetGCPercent(-1) // The memory is bounded, and a pause here would look like the server's.
	if w.Transport != "udp" {
		return generateStreams(w)
	}
	g, err := newGenerator(w)
	if err != nil {
		return outcome{}, err
	}
	defer g.close()
	return g.run()
}

// generator is UDP clients and the echo behind the relay, all in one loop of one thread.
//
// A server on loopback sees each client at an address of its own, although one socket serves them all: the source is
// chosen for each datagram (IP_PKTINFO), so that a system call carries the datagrams of many. A server elsewhere gets a
// socket for each client.
type generator struct {
	workload
	sockets  []int // of the clients
	peer     int
	echo     *session // of a relayed echo, else nil
	clients  []client
	byChoice bool // clients share a socket, and choose their source

	waiter            *waiter
	scratch, received *batch // for requests and their answers
	data              *traffic
}

// client is one 5-tuple.
type client struct {
	session session
	source  netip.Addr // the zero Addr for the socket's own
	socket  int
	sentAt  int64 // when the open request was
}

func newGenerator(w workload) (*generator, error) {
	g := &generator{workload: w, peer: -1, scratch: newBatch(), received: newBatch(), byChoice: w.Server.Addr().IsLoopback()}
	if err := g.open(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (g *generator) open() (err error) {
	if g.peer, err = openUDP(g.Peer, false); err != nil {
		return err
	}
	if g.RelayedEcho {
		if err := g.allocateEcho(); err != nil {
			return fmt.Errorf("set up the echo: %w", err)
		}
	}
	count := g.Clients
	if g.byChoice {
		count = 1
	}
	for range count {
		fd, err := openUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), 0), g.byChoice)
		if err != nil {
			return err
		}
		g.sockets = append(g.sockets, fd)
	}
	g.clients = g.newClients(0, g.Clients)
	g.waiter, err = newWaiter(append([]int{g.peer}, g.sockets...)...)
	return err
}

// newClients makes clients from a number on; the number decides on the source address.
func (g *generator) newClients(first, count int) []client {
	clients := make([]client, count)
	g.renew(clients, first)
	return clients
}

// renew turns clients into new ones from a number on.
func (g *generator) renew(clients []client, first int) {
	for i := range clients {
		c := &clients[i]
		c.session.renew(g.Login, g.Peer, firstChannel+uint16(i%0x1000))
		c.socket = g.sockets[min(i, len(g.sockets)-1)]
		if g.byChoice {
			c.source = sourceAddr(first + i)
		}
	}
}

// sourceAddr is the loopback address of a client: from 127.1.0.0 on, since 127.0/16 has the server and its resolvers.
func sourceAddr(number int) netip.Addr {
	n := number + 0x010000
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}

func sourceNumber(a [4]byte) int { return int(a[1])<<16 | int(a[2])<<8 | int(a[3]) - 0x010000 }

func (g *generator) close() {
	for _, fd := range append(g.sockets, g.peer) {
		if fd >= 0 {
			_ = closing(fd, nil)
		}
	}
	if g.waiter != nil {
		g.waiter.close()
	}
}

func (g *generator) run() (o outcome, err error) {
	o.Echo = g.Peer
	defer func() { err = errors.Join(err, g.releaseEcho()) }()
	if g.Idle > 0 {
		if o.IdleBytes, o.IdleGranted, err = g.weighIdle(); err != nil {
			return o, err
		}
	}
	if g.Window > 0 {
		if err := g.steadyState(&o); err != nil {
			return o, err
		}
	}
	if g.AllocateFor > 0 {
		err = o.count(g.workload, g.countAllocations)
	}
	return o, err
}

// steadyState sets the clients up, measures, and releases them.
func (g *generator) steadyState(o *outcome) error {
	if !g.Direct {
		if err := g.bring(g.clients, stepReady); err != nil {
			return fmt.Errorf("set up the clients: %w", err)
		}
	}
	if err := g.measure(o); err != nil || g.Direct {
		return err
	}
	for i := range g.clients {
		g.clients[i].session.step = stepRelease
	}
	return g.bring(g.clients, stepReleased)
}

// measure sends and receives through the warm-up and the window.
func (g *generator) measure(o *outcome) error {
	g.data = newTraffic(g)
	start := now()
	from, until := start+int64(g.WarmUp), start+int64(g.WarmUp+g.Window)
	if err := g.data.runUntil(start, from); err != nil {
		return err
	}
	before, err := readMeters(g.PID)
	if err != nil {
		return err
	}
	g.data.window(before.at)
	if err := g.data.runUntil(start, until); err != nil {
		return err
	}
	after, err := readMeters(g.PID)
	if err != nil {
		return err
	}
	g.data.stop(after.at)
	if err := g.data.runUntil(start, after.at+int64(drain)); err != nil {
		return err
	}
	g.data.report(o, before, after)
	return nil
}

// count fills in what allocations cost by making them for a time.
func (o *outcome) count(w workload, allocate func(limit int64) (made int, err error)) error {
	before, err := readMeters(w.PID)
	if err != nil {
		return err
	}
	made, err := allocate(before.at + int64(w.AllocateFor))
	if err != nil {
		return fmt.Errorf("allocate and release: %w", err)
	}
	after, err := readMeters(w.PID)
	if err != nil || made == 0 {
		return err
	}
	o.AllocPerS = float64(made) / (float64(after.at-before.at) / 1e9)
	o.CPUPerAlloc = (after.server - before.server) / time.Duration(made)
	return nil
}

// meters are readings at one instant.
type meters struct {
	at          int64
	server, own time.Duration
	rss         int64
}

func readMeters(pid int) (m meters, err error) {
	var problems [3]error
	m.at = now()
	m.own, problems[0] = cpuOf(0)
	if pid != 0 {
		m.server, problems[1] = cpuOf(pid)
		m.rss, problems[2] = rssOf(pid)
	}
	return m, errors.Join(problems[:]...)
}

func putHeader(p []byte, sent int64, client int) {
	binary.LittleEndian.PutUint64(p, uint64(sent))
	binary.LittleEndian.PutUint32(p[8:], uint32(client))
}

func header(p []byte) (sent int64, client int) {
	return int64(binary.LittleEndian.Uint64(p)), int(binary.LittleEndian.Uint32(p[8:]))
}
