package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"

	"tourbillon/turn/relay"
)

const (
	// maxRecordBytes is the longest plaintext of a DTLS record (RFC 6347 4.1: 2^14 bytes).
	maxRecordBytes = 1 << 14
	// maxDatagramBytes is the longest datagram that is read: a record with its header and room for its cipher.
	maxDatagramBytes = maxRecordBytes + 512
	// pathQueue bounds the datagrams that wait for one DTLS connection. More are lost, as on any network.
	pathQueue = 128
	// arrivals bounds the connections that wait to be admitted.
	arrivals = 64
)

// dtlsLayer puts DTLS 1.2 (RFC 6347) on a path, with the certificate of the TLS configuration.
func dtlsLayer(config *tls.Config, c *core) secureLayer {
	certificate := func(hello *dtls.ClientHelloInfo) (*tls.Certificate, error) {
		if config.GetCertificate != nil {
			return config.GetCertificate(&tls.ClientHelloInfo{ServerName: hello.ServerName})
		}
		return &config.Certificates[0], nil
	}
	return func(raw net.Conn) (securedConn, error) {
		conn, err := dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(raw), raw.RemoteAddr(),
			dtls.WithGetCertificate(certificate), dtls.WithLoggerFactory(pionLogs{log: c.log, clock: c.clock}),
			dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret))
		if err != nil {
			return nil, fmt.Errorf("start DTLS: %w", err)
		}
		return conn, nil
	}
}

// demux splits a UDP socket into one connection for each client, as DTLS wants them. It is the net.Listener of a
// streamListener.
type demux struct {
	core   *core
	socket net.PacketConn
	wild   *relay.Wildcard // the socket, where it is on a wildcard address; nil otherwise
	fresh  chan *path
	ended  *latch

	mu    sync.Mutex // guards what follows
	paths map[tuple]*path
	// rivals are new associations of clients that have an old one, which is kept until the new one stands (RFC 6347
	// 4.2.8): a client that lost its state comes from the same port, and so does one that was given the port of another.
	rivals map[tuple]*path
}

// newDemux starts to read the socket, until Close.
func newDemux(c *core, socket net.PacketConn) *demux {
	wild, _ := socket.(*relay.Wildcard)
	d := &demux{
		core: c, socket: socket, wild: wild, fresh: make(chan *path, arrivals), ended: newLatch(),
		paths: make(map[tuple]*path), rivals: make(map[tuple]*path),
	}
	c.tasks.Go(d.run)
	return d
}

func (d *demux) run() {
	retry := backoff{clock: d.core.clock}
	buffer := make([]byte, maxDatagramBytes)
	for {
		n, from, err := receive(d.socket, d.wild, buffer)
		if err == nil {
			retry.reset()
			d.dispatch(buffer[:n], from)
			continue
		}
		if errors.Is(err, net.ErrClosed) || !d.core.retry(&retry, d.ended.done) {
			return
		}
	}
}

// dispatch hands a datagram to its path. Only a ClientHello makes a path.
func (d *demux) dispatch(p []byte, from tuple) {
	defer d.core.survive("DTLS datagram")
	known, rival := d.pathsOf(from, isClientHello(p))
	switch {
	case known == nil:
		d.core.counters.garbage.Add(1)
	case rival == nil:
		known.put(p)
	case isPlain(p): // The old association has no more use for a handshake.
		rival.put(p)
	default: // Whose keys it is under shows when it is decrypted; the other drops it.
		known.put(p)
		rival.put(p)
	}
}

// pathsOf is a client's path and, if there is one, its rival. A ClientHello makes the path that there is not, and a
// rival to one that is established.
func (d *demux) pathsOf(from tuple, hello bool) (known, rival *path) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, rival = d.paths[from], d.rivals[from]
	if !hello || len(d.fresh) == cap(d.fresh) || d.ended.closed() || known != nil && (rival != nil || !known.established) {
		return known, rival
	}
	made := &path{
		demux: d, from: from, client: net.UDPAddrFromAddrPort(from.client),
		inbox: make(chan []byte, pathQueue), ended: newLatch(), wake: make(chan struct{}),
	}
	if known == nil {
		known, d.paths[from] = made, made
	} else {
		rival, d.rivals[from] = made, made
	}
	d.fresh <- made // There is room: run alone fills it.
	return known, rival
}

// isPlain tells whether a datagram begins with a record that is not encrypted (epoch 0; RFC 6347 4.1).
func isPlain(p []byte) bool { return len(p) > 4 && p[3] == 0 && p[4] == 0 }

// isClientHello tells whether a datagram begins a DTLS handshake: a handshake record (22) of DTLS 1.0 or 1.2 in epoch 0
// whose message is a ClientHello (1) (RFC 6347 4.1, 4.2.2).
func isClientHello(p []byte) bool {
	const recordHeader = 13
	return len(p) > recordHeader && p[0] == 22 && p[1] == 254 && (p[2] == 255 || p[2] == 253) &&
		p[3] == 0 && p[4] == 0 && p[recordHeader] == 1
}

// Accept returns the next new client.
func (d *demux) Accept() (net.Conn, error) {
	select {
	case p := <-d.fresh:
		return p, nil
	case <-d.ended.done:
		return nil, net.ErrClosed
	}
}

// Close ends the socket. The paths end with their connections.
func (d *demux) Close() error {
	if !d.ended.close() {
		return nil
	}
	return d.socket.Close()
}

// Addr is the bound address.
func (d *demux) Addr() net.Addr { return d.socket.LocalAddr() }

func (d *demux) forget(p *path) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paths[p.from] == p {
		delete(d.paths, p.from)
	}
	if d.rivals[p.from] == p {
		delete(d.rivals, p.from)
	}
}

// path is the datagrams to and from one client of a demux.
type path struct {
	demux  *demux
	from   tuple
	client net.Addr // that of from
	inbox  chan []byte
	ended  *latch
	// established says that the handshake is done. The demux guards it.
	established bool

	mu   sync.Mutex    // guards wake
	wake chan struct{} // closed while a read deadline is set
}

// put leaves a datagram for Read, or loses it.
func (p *path) put(datagram []byte) {
	select {
	case p.inbox <- append([]byte(nil), datagram...):
	default:
	}
}

// establish says that the handshake is done: a rival takes the place of the old association.
func (p *path) establish() {
	d := p.demux
	d.mu.Lock()
	defer d.mu.Unlock()
	p.established = true
	if d.rivals[p.from] == p {
		delete(d.rivals, p.from)
		d.paths[p.from] = p
	}
}

// Read returns one datagram. Its error is net.ErrClosed, or os.ErrDeadlineExceeded after SetReadDeadline.
func (p *path) Read(b []byte) (int, error) {
	p.mu.Lock()
	wake := p.wake
	p.mu.Unlock()
	select {
	case <-wake: // Before a datagram, as in package net.
		return 0, os.ErrDeadlineExceeded
	default:
	}
	select {
	case datagram := <-p.inbox:
		return copy(b, datagram), nil
	case <-wake:
		return 0, os.ErrDeadlineExceeded
	case <-p.ended.done:
		return 0, net.ErrClosed
	}
}

// Write sends one datagram, after Close as well: pion/dtls says goodbye while its reader, which sees the end first,
// already closes the path.
func (p *path) Write(b []byte) (int, error) {
	if p.demux.wild == nil {
		return p.demux.socket.WriteTo(b, p.client)
	}
	if err := p.demux.wild.WritePacket(b, p.from.client, p.from.local); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close forgets the client.
func (p *path) Close() error {
	if p.ended.close() {
		p.demux.forget(p)
	}
	return nil
}

// LocalAddr is the server's address as the client uses it.
func (p *path) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(p.from.server(addrPort(p.demux.Addr())))
}

// RemoteAddr is the client's address.
func (p *path) RemoteAddr() net.Addr { return p.client }

// SetDeadline is SetReadDeadline: a datagram is written at once.
func (p *path) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline ends a Read at once, and each that follows until it is called with the zero time. pion/dtls sets
// times in the past, to be woken, and no other.
func (p *path) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := isClosed(p.wake)
	switch {
	case t.IsZero() && set:
		p.wake = make(chan struct{})
	case !t.IsZero() && !set:
		close(p.wake)
	}
	return nil
}

// SetWriteDeadline does nothing.
func (p *path) SetWriteDeadline(time.Time) error { return nil }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
