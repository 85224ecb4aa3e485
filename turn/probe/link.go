package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tourbillon/timing"
)

// inbox is how many packets may wait to be looked at. Over UDP what comes beyond is dropped, as by a full socket.
const inbox = 256

// maxDatagram is the largest payload of a UDP datagram that is read.
const maxDatagram = 0xffff

// errTimeout is why a step's context ended.
var errTimeout = errors.New("timed out")

// errHandshake says that the connection stood and TLS did not.
var errHandshake = errors.New("TLS handshake")

// packet is one message as it arrived, or, with err, the end of reading.
type packet struct {
	at   timing.Instant
	from netip.AddrPort
	data []byte
	err  error
}

// link is one socket. Its reader goroutine ends with close, which waits for it.
type link struct {
	clock   timing.Clock
	udp     *net.UDPConn // nil over streams.
	conn    net.Conn
	raw     net.Conn // Below TLS, whose own Close would wait to write a farewell.
	server  netip.AddrPort
	local   netip.AddrPort
	packets chan packet
	// channels is set when a channel is asked for: from then on ChannelData may come.
	channels atomic.Bool

	closing chan struct{}
	reader  sync.WaitGroup
}

// dial opens a link to a server's address. It blocks until the connection stands, with TLS its handshake too, or until
// ctx ends.
func (r *runner) dial(ctx context.Context, t Target, at netip.AddrPort) (*link, *tls.ConnectionState, error) {
	network := "tcp"
	if t.Transport == UDP {
		network = "udp"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, at.String())
	if err != nil {
		return nil, nil, err
	}
	l := &link{clock: r.o.Clock, conn: conn, raw: conn, server: at, local: addressOf(conn.LocalAddr())}
	if t.Transport == UDP {
		l.udp = conn.(*net.UDPConn)
	}
	var state *tls.ConnectionState
	if t.Transport == TLS {
		secured, err := r.handshake(ctx, conn, t)
		if err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
		reached := secured.ConnectionState()
		l.conn, state = secured, &reached
	}
	l.start()
	return l, state, nil
}

// handshake takes any certificate: it is judged by itself, so that it can be shown even where it is bad.
func (r *runner) handshake(ctx context.Context, conn net.Conn, t Target) (*tls.Conn, error) {
	secured := tls.Client(conn, &tls.Config{ServerName: verifiable(t.Host), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // Judged by judgeCertificate.
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	return secured, nil
}

// listen opens a UDP socket that belongs to no server.
func (r *runner) listen(at netip.Addr) (*link, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	l := &link{clock: r.o.Clock, udp: conn, conn: conn, raw: conn, local: addressOf(conn.LocalAddr())}
	l.start()
	return l, nil
}

func (l *link) start() {
	l.packets, l.closing = make(chan packet, inbox), make(chan struct{})
	if l.udp != nil {
		l.reader.Go(l.readDatagrams)
		return
	}
	l.reader.Go(l.readFrames)
}

func (l *link) stream() bool { return l.udp == nil }

func (l *link) mayBeChannelData(b []byte) bool {
	return l.channels.Load() && len(b) >= channelHeader && b[0]>>6 == 1
}

// readDatagrams ends when the socket is closed. Other errors, such as a port that answers with ICMP, are told.
func (l *link) readDatagrams() {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := l.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p := packet{at: l.clock.Now(), from: unmap(from), err: err}
		p.data = append(p.data, buffer[:n]...)
		select {
		case l.packets <- p:
		case <-l.closing:
			return
		default: // A flood; what matters is asked for again.
		}
	}
}

// readFrames ends with the stream, and tells why.
func (l *link) readFrames() {
	for {
		frame, err := readFrame(l.conn, l.channels.Load)
		select {
		case l.packets <- packet{l.clock.Now(), l.server, frame, err}:
		case <-l.closing:
			return
		}
		if err != nil {
			return
		}
	}
}

// write sends a packet to the link's server. Over a stream it may block; see interruptible.
func (l *link) write(b []byte) error {
	_, err := l.conn.Write(b)
	return err
}

// writeTo sends a packet from a socket of listen.
func (l *link) writeTo(b []byte, to netip.AddrPort) error {
	_, err := l.udp.WriteToUDPAddrPort(b, to)
	return err
}

// interruptible has the end of ctx fail a write that hangs, until the function that it returns is called.
func (l *link) interruptible(ctx context.Context) (done func()) {
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = l.raw.SetWriteDeadline(time.Unix(1, 0))
		close(set)
	})
	return func() {
		if !stop() {
			<-set // Or it would come after the next line, and fail the writes of later steps.
			_ = l.raw.SetWriteDeadline(time.Time{})
		}
	}
}

func (l *link) close() {
	close(l.closing)
	_ = l.raw.Close()
	l.reader.Wait()
}

func addressOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// limited is a context that ends after d of the injected clock. The caller calls end.
func limited(ctx context.Context, clock timing.Clock, d time.Duration) (bounded context.Context, end func()) {
	bounded, cancel := context.WithCancelCause(ctx)
	timer := clock.AfterFunc(d, func() { cancel(errTimeout) })
	return bounded, func() {
		timer.Stop()
		cancel(nil)
	}
}
