package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"tourbillon/timing"
)

// Options says which room to join and how. The zero value of a field takes the default that its comment states.
type Options struct {
	// Room is the name of the room.
	Room string
	// Name is what the others are shown, Metadata any JSON object of at most 4 KiB.
	Name     string
	Metadata json.RawMessage
	// Token opens the room, where rooms want one.
	Token string
	// Heartbeat is the interval of pings to ask the server for. Default: the server's own for programs, 100 ms.
	Heartbeat time.Duration
	// Tolerance is the silence beyond three heartbeats after which the connection counts as lost. Default 500 ms.
	Tolerance time.Duration
	// JoinTimeout is how long one attempt may take from the dialling to the server's answer. Default 8 s.
	JoinTimeout time.Duration
	// Waiting is how many events may wait to be received before the room is given up with [ErrNotReceived]. Default 1024.
	Waiting int
	// Clock is what all timers run on. Default [timing.Runtime].
	Clock timing.Clock
	// Dial opens the TCP connection. Default that of [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used for wss addresses. Default that of package tls, for the address's host.
	TLS *tls.Config
	// Header is sent with each request, an Origin for example.
	Header http.Header
	// Random draws from [0, 1), for the back-off. Default that of math/rand/v2.
	Random func() float64
}

func (o Options) withDefaults() Options {
	setDefault(&o.Tolerance, 500*time.Millisecond)
	setDefault(&o.JoinTimeout, 8*time.Second)
	setDefault(&o.Waiting, 1024)
	setDefault[timing.Clock](&o.Clock, timing.Runtime{})
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
