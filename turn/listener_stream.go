package turn

import (
	"context"
	"errors"
	"net"
	"sync"
)

// securedConn is a TLS or DTLS connection.
type securedConn interface {
	net.Conn
	HandshakeContext(ctx context.Context) error
}

// secureLayer puts TLS or DTLS on a connection, whose handshake follows.
type secureLayer func(raw net.Conn) (securedConn, error)

// streamListener accepts TCP, TLS or DTLS connections and hands finished ones out: counted, with the handshake done.
type streamListener struct {
	core   *core
	socket net.Listener
	gate   *gate
	secure secureLayer // nil for plain TCP
	// datagrams says that each read of a connection is a whole packet: DTLS.
	datagrams bool
	index     int // the listener's in clientKey
	ready     chan *streamConn
	ended     *latch

	mu    sync.Mutex // guards what follows
	conns map[tuple]*streamConn
	// rivals are connections of clients that have another, which a finished handshake puts in its place: DTLS alone.
	rivals map[*streamConn]struct{}
}

func newStreamListener(c *core, socket net.Listener, gate *gate, secure secureLayer) *streamListener {
	return &streamListener{
		core: c, socket: socket, gate: gate, secure: secure,
		ready: make(chan *streamConn), ended: newLatch(),
		conns: make(map[tuple]*streamConn), rivals: make(map[*streamConn]struct{}),
	}
}

// start begins to accept; Close stops it.
func (l *streamListener) start() { l.core.tasks.Go(l.run) }

func (l *streamListener) run() {
	retry := backoff{clock: l.core.clock}
	for {
		raw, err := l.socket.Accept()
		if err == nil {
			retry.reset()
			l.admit(raw)
			continue
		}
		if errors.Is(err, net.ErrClosed) || !l.core.retry(&retry, l.ended.done) {
			return
		}
	}
}

// admit takes a new connection in, or closes it when too many have not authenticated.
func (l *streamListener) admit(raw net.Conn) {
	from := l.tuple(raw)
	if !l.gate.enter(from.client.Addr()) {
		l.core.counters.refusedConns.Add(1)
		raw.Close()
		return
	}
	conn := newStreamConn(l, raw, from)
	if !l.register(conn) {
		l.core.counters.refusedConns.Add(1)
		conn.abandon()
		return
	}
	l.core.tasks.Go(func() { l.prepare(conn) })
}

// tuple names the client of a connection.
func (l *streamListener) tuple(raw net.Conn) tuple {
	if p, ok := raw.(*path); ok {
		return tuple{client: canonicalPort(p.from.client), local: p.from.local}
	}
	t := tuple{client: addrPort(raw.RemoteAddr())}
	if local := addrPort(raw.LocalAddr()).Addr(); addrPort(l.Addr()).Addr().IsUnspecified() && !local.IsUnspecified() {
		t.local = local
	}
	return t
}

// register enters a connection in the table. On a stream, one whose client's last connection has not quite ended yet is
// refused.
func (l *streamListener) register(c *streamConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, taken := l.conns[c.from]
	if taken && !l.datagrams || l.ended.closed() {
		return false
	}
	if taken {
		l.rivals[c] = struct{}{}
	} else {
		l.conns[c.from] = c
	}
	return true
}

// promote puts a rival whose handshake is done in the place of the client's old connection, which ends with its
// allocation (RFC 6347 4.2.8).
func (l *streamListener) promote(c *streamConn) {
	l.mu.Lock()
	_, rival := l.rivals[c]
	old := l.conns[c.from]
	if rival {
		delete(l.rivals, c)
		l.conns[c.from] = c
	}
	l.mu.Unlock()
	if rival && old != nil {
		old.endAllocation()
		old.abort()
	}
}

// prepare does the handshake and waits for Accept to take the connection.
func (l *streamListener) prepare(c *streamConn) {
	if err := c.handshake(); err != nil {
		c.failed()
		c.Close()
		return
	}
	l.promote(c)
	select {
	case l.ready <- c:
	case <-l.ended.done:
		c.Close()
	}
}

// serve serves every connection with transactions of h, until Close.
func (l *streamListener) serve(h *control) {
	l.index = h.listener
	l.core.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			l.core.tasks.Go(func() { c.serve(h.transactions(c)) })
		}
	})
	l.start()
}

// Accept returns the next finished connection. Its error is net.ErrClosed and nothing else.
func (l *streamListener) Accept() (*streamConn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ended.done:
		return nil, net.ErrClosed
	}
}

// Close stops accepting and cuts every connection.
func (l *streamListener) Close() error {
	if !l.ended.close() {
		return nil
	}
	err := l.socket.Close()
	l.mu.Lock()
	open := make([]*streamConn, 0, len(l.conns))
	for _, c := range l.conns {
		open = append(open, c)
	}
	for c := range l.rivals {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		c.abort()
	}
	return err
}

// Addr is the bound address.
func (l *streamListener) Addr() net.Addr { return l.socket.Addr() }

func (l *streamListener) forget(c *streamConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rivals, c)
	if l.conns[c.from] == c {
		delete(l.conns, c.from)
	}
}
