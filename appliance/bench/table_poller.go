//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// How often the poller's operations are repeated.
const (
	pollerConnections = 200
	pollerRounds      = 50
	pollerPolls       = 200_000
)

// pollerTable is the origin's cost of Go's shared epoll instance against a private one.
func (b *bench) pollerTable() tablePlan {
	ask := &order{Poller: &pollerOrder{pollerConnections, pollerRounds, pollerPolls}}
	ns := func(name string, origin float64, read func(*pollerAnswer) float64) []tableFigure {
		return []tableFigure{{name, "ns", origin, func(a answer) float64 { return read(a.Poller) }}}
	}
	return tablePlan{
		note: "Go's epoll instance stands under package time, a private one under hrtimer. Registering with Go's is os.NewFile on a\n" +
			"socket, its bookkeeping included; with a private one the bare epoll_ctl. The runtime polls its own instance from\n" +
			"inside the scheduler only, so an empty poll of that cannot be timed from outside.",
		cases: []tableCase{
			{name: "register a connection", packageTime: ask, figures: ns("Go's epoll", 80, func(a *pollerAnswer) float64 { return a.SharedNS })},
			{name: "register a connection", hrtimer: ask, figures: ns("private epoll", 1200, func(a *pollerAnswer) float64 { return a.PrivateNS })},
			{name: "empty poll", figures: ns("Go's epoll", 120, nil)},
			{name: "empty poll", hrtimer: ask, figures: ns("private epoll", 450, func(a *pollerAnswer) float64 { return a.EmptyPollNS })},
		},
	}
}

// pollerOrder asks for connections to be registered, rounds times, and for polls that find nothing.
type pollerOrder struct {
	Connections int `json:"connections"`
	Rounds      int `json:"rounds"`
	Polls       int `json:"polls"`
}

// pollerAnswer is what one operation takes, in nanoseconds, the median over the rounds.
type pollerAnswer struct {
	SharedNS    float64 `json:"shared_ns"`
	PrivateNS   float64 `json:"private_ns"`
	EmptyPollNS float64 `json:"empty_poll_ns"`
}

func (o pollerOrder) measure() (a pollerAnswer, err error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return a, fmt.Errorf("create epoll instance: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(epoll)) }()
	var shared, private []float64
	for range o.Rounds {
		took, err := o.registerShared()
		if err != nil {
			return a, err
		}
		shared = append(shared, o.perConnection(took))
		if took, err = o.registerPrivate(epoll); err != nil {
			return a, err
		}
		private = append(private, o.perConnection(took))
	}
	polls, err := o.pollNothing(epoll)
	a = pollerAnswer{spreadOf(shared).median, spreadOf(private).median, float64(polls) / float64(o.Polls)}
	return a, err
}

func (o pollerOrder) perConnection(took time.Duration) float64 {
	return float64(took) / float64(o.Connections)
}

func (o pollerOrder) registerShared() (took time.Duration, err error) {
	descriptors, err := o.sockets()
	if err != nil {
		return 0, err
	}
	files := make([]*os.File, len(descriptors))
	clock := timing.Runtime{}
	start := clock.Now()
	for i, fd := range descriptors {
		files[i] = os.NewFile(uintptr(fd), "socket")
	}
	took = clock.Now().Sub(start)
	for _, file := range files {
		err = errors.Join(err, file.Close())
	}
	return took, err
}

func (o pollerOrder) registerPrivate(epoll int) (took time.Duration, err error) {
	descriptors, err := o.sockets()
	if err != nil {
		return 0, err
	}
	clock := timing.Runtime{}
	start := clock.Now()
	for _, fd := range descriptors {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		err = errors.Join(err, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event))
	}
	took = clock.Now().Sub(start)
	return took, errors.Join(err, closeAll(descriptors))
}

func (o pollerOrder) pollNothing(epoll int) (took time.Duration, err error) {
	var events [1]unix.EpollEvent
	clock := timing.Runtime{}
	start := clock.Now()
	for range o.Polls {
		if _, err := unix.EpollWait(epoll, events[:], 0); err != nil && !errors.Is(err, unix.EINTR) {
			return 0, fmt.Errorf("poll: %w", err)
		}
	}
	return clock.Now().Sub(start), nil
}

// sockets makes the connections: UDP sockets that do not block.
func (o pollerOrder) sockets() ([]int, error) {
	var descriptors []int
	for range o.Connections {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a socket: %w", err), closeAll(descriptors))
		}
		descriptors = append(descriptors, fd)
	}
	return descriptors, nil
}

func closeAll(descriptors []int) (err error) {
	for _, fd := range descriptors {
		err = errors.Join(err, unix.Close(fd))
	}
	return err
}
