package turn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

const testSecret = "tourbillon-test-secret"

// patience bounds every wait of a test; none comes near it unless something is broken.
const patience = timingtest.Patience

// listen starts a server and closes it, with all its goroutines, when the test ends.
func listen(t *testing.T, cfg turn.Config) *turn.Server {
	t.Helper()
	if cfg.Secrets == nil {
		cfg.Secrets = [][]byte{[]byte(testSecret)}
	}
	server, err := turn.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, server) })
	return server
}

func closeServer(t *testing.T, server *turn.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Error(err)
	}
}

func addressOf(t *testing.T, server *turn.Server, transport turn.Transport) netip.AddrPort {
	t.Helper()
	for _, a := range server.Addresses() {
		if a.Transport == transport {
			return a.Addr
		}
	}
	t.Fatalf("no %s listener in %v", transport, server.Addresses())
	return netip.AddrPort{}
}

// eventually and openFiles go by their short names here.
var eventually, openFiles = timingtest.Eventually, timingtest.OpenFiles

// wall is a wall clock that stands where it is put.
type wall struct{ unix atomic.Int64 }

func newWall(at time.Time) *wall {
	w := &wall{}
	w.unix.Store(at.Unix())
	return w
}

func (w *wall) now() time.Time          { return time.Unix(w.unix.Load(), 0) }
func (w *wall) advance(d time.Duration) { w.unix.Add(int64(d / time.Second)) }

// selfSigned makes a certificate for 127.0.0.1 and a client configuration that trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots}
}

// dial opens a control connection to the server's listener of a transport, as a packet connection.
func dial(t *testing.T, server *turn.Server, transport turn.Transport, trust *tls.Config) net.PacketConn {
	t.Helper()
	at := addressOf(t, server, transport).String()
	var packets net.PacketConn
	switch transport {
	case turn.UDP:
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets = conn
	case turn.TCP:
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		packets = pion.NewSTUNConn(conn)
	case turn.DTLS:
		conn, err := dtls.DialWithOptions("udp4", net.UDPAddrFromAddrPort(addressOf(t, server, turn.DTLS)),
			dtls.WithRootCAs(trust.RootCAs), dtls.WithServerName("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		packets = pion.NewSTUNConn(conn)
	case turn.TLS:
		conn, err := tls.Dial("tcp", at, trust)
		if err != nil {
			t.Fatal(err)
		}
		packets = pion.NewSTUNConn(conn)
	}
	t.Cleanup(func() { packets.Close() })
	return packets
}

// client is pion's TURN client over a transport.
func client(
	t *testing.T, server *turn.Server, transport turn.Transport, trust *tls.Config, username, password string,
) *pion.Client {
	t.Helper()
	conn := dial(t, server, transport, trust)
	at := addressOf(t, server, transport).String()
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: conn,
		Username: username, Password: password, Realm: turn.DefaultRealm, LoggerFactory: logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// issued makes a credential under the test's secret.
func issued(user string, now time.Time) (username, password string) {
	c := turn.NewIssuer([]byte(testSecret), turn.DefaultTTL).Issue(user, now)
	return c.Username, c.Password
}

// rawClient speaks STUN by hand over UDP, to send what a well-behaved client does not.
type rawClient struct {
	t                  *testing.T
	conn               net.Conn
	username, password string
	nonce              stun.Nonce
}

func newRawClient(t *testing.T, server *turn.Server, username, password string) *rawClient {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addressOf(t, server, turn.UDP)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &rawClient{t: t, conn: conn, username: username, password: password}
}

// bare sends a request without credentials and returns the answer.
func (c *rawClient) bare(method stun.Method, setters ...stun.Setter) *stun.Message {
	c.t.Helper()
	return c.send(append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, setters...)...)
}

func (c *rawClient) send(setters ...stun.Setter) *stun.Message {
	c.t.Helper()
	ask := stun.MustBuild(setters...)
	if _, err := c.conn.Write(ask.Raw); err != nil {
		c.t.Fatal(err)
	}
	return c.receive(ask.TransactionID)
}

// receive waits for the answer to a transaction and passes over what else arrives.
func (c *rawClient) receive(id [stun.TransactionIDSize]byte) *stun.Message {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	for {
		n, err := c.conn.Read(buffer)
		if err != nil {
			c.t.Fatalf("no answer: %v", err)
		}
		answer := stun.New()
		if stun.Decode(buffer[:n], answer) == nil && answer.TransactionID == id {
			return answer
		}
	}
}

// request sends an authenticated request, answering the challenge first where there is no nonce yet.
func (c *rawClient) request(method stun.Method, setters ...stun.Setter) *stun.Message {
	c.t.Helper()
	if c.nonce == nil {
		if err := c.nonce.GetFrom(c.bare(stun.MethodAllocate)); err != nil {
			c.t.Fatalf("the challenge has no nonce: %v", err)
		}
	}
	realm := turn.DefaultRealm
	setters = append(setters, stun.NewUsername(c.username), stun.NewRealm(realm), c.nonce,
		stun.NewLongTermIntegrity(c.username, realm, c.password), stun.Fingerprint)
	return c.bare(method, setters...)
}

func (c *rawClient) allocate(setters ...stun.Setter) *stun.Message {
	c.t.Helper()
	return c.request(stun.MethodAllocate, append([]stun.Setter{attr(stun.AttrRequestedTransport, 17, 0, 0, 0)}, setters...)...)
}

// sendIndication asks the relay to send data to a peer.
func (c *rawClient) sendIndication(peer netip.AddrPort, data string) {
	c.t.Helper()
	ask := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
		peerAddress(peer), attr(stun.AttrData, []byte(data)...))
	if _, err := c.conn.Write(ask.Raw); err != nil {
		c.t.Fatal(err)
	}
}

// attr is a setter of one attribute with a raw value.
type rawAttribute stun.RawAttribute

func (a rawAttribute) AddTo(m *stun.Message) error {
	m.Add(a.Type, a.Value)
	return nil
}

func attr(kind stun.AttrType, value ...byte) stun.Setter {
	return rawAttribute{Type: kind, Value: value}
}

// peerAddress is an XOR-PEER-ADDRESS. An IPv4-mapped address is written with family IPv6, as an attacker would.
func peerAddress(peer netip.AddrPort) stun.Setter { return peerAttribute(peer) }

type peerAttribute netip.AddrPort

func (p peerAttribute) AddTo(m *stun.Message) error {
	peer := netip.AddrPort(p)
	value := []byte{0, 1, byte(peer.Port()>>8) ^ 0x21, byte(peer.Port()) ^ 0x12}
	if peer.Addr().Is6() {
		value[1] = 2
	}
	mask := append([]byte{0x21, 0x12, 0xA4, 0x42}, m.TransactionID[:]...)
	for i, b := range peer.Addr().AsSlice() {
		value = append(value, b^mask[i])
	}
	m.Add(stun.AttrXORPeerAddress, value)
	return nil
}

// errorCode is the code of an error response, 0 of a success.
func errorCode(t *testing.T, m *stun.Message) int {
	t.Helper()
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(m); err != nil {
		t.Fatalf("%v without an error code", m)
	}
	return int(code.Code)
}
