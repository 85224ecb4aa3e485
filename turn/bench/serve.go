//go:build linux

package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"

	"tourbillon/timing"
	"tourbillon/turn"
)

// Names of the arms.
const (
	armTourbillon = "tourbillon"
	armPion       = "pion"
	armCoturn     = "coturn"
	armAttached   = "server" // named by --server
)

const (
	benchRealm  = "tourbillon"
	benchSecret = "bench turn"
)

// serveOrder is what a server of ours is told.
type serveOrder struct {
	Arm       string `json:"arm"`
	Transport string `json:"transport"`
	// Peer is the echo, which the relay may reach although it is on loopback: as an ICE socket of our own is.
	Peer netip.AddrPort `json:"peer"`
	// Dir holds the certificate of TLS.
	Dir  string `json:"dir"`
	Load string `json:"load"`
	Work int    `json:"work"`
}

// served is what a server answers when it serves.
type served struct {
	Addr  netip.AddrPort `json:"addr"`
	Notes []string       `json:"notes"`
}

// serve runs an arm until in ends.
func serve(o serveOrder, in io.Reader, out io.Writer, hooks Hooks) (err error) {
	var s served
	var end func() error
	switch o.Arm {
	case armTourbillon:
		end, err = s.tourbillon(o, hooks)
	case armPion:
		end, err = s.pion(o)
	default:
		err = fmt.Errorf("no arm %q", o.Arm)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	stop, err := hooks.StartLoad(o.Load, o.Work)
	if err != nil {
		return err
	}
	defer stop()
	if err := json.NewEncoder(out).Encode(s); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// tourbillon starts our server as serve ships it on loopback with limits off: policy and counters on.
func (s *served) tourbillon(o serveOrder, hooks Hooks) (end func() error, err error) {
	processors := timing.AddProcessor() // As serve does.
	clock, note, endClock := hooks.OpenClock()
	cfg := turn.Config{
		Realm: benchRealm, Secrets: [][]byte{[]byte(benchSecret)}, Limits: turn.LimitsOff(),
		MuxPorts: []netip.AddrPort{o.Peer}, Clock: clock,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	const anywhere = "127.0.0.1:0"
	switch o.Transport {
	case "udp":
		cfg.UDP = []string{anywhere}
	case "tcp":
		cfg.TCP = []string{anywhere}
	case "tls":
		cfg.TLS = []string{anywhere}
		certificate, err := loadCertificate(o.Dir)
		if err != nil {
			return nil, errors.Join(err, endClock())
		}
		cfg.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	server, err := turn.Listen(cfg)
	if err != nil {
		return nil, errors.Join(err, endClock())
	}
	s.Addr, s.Notes = server.Addresses()[0].Addr, []string{"clock: " + note, fmt.Sprintf("Go processors: %d", processors)}
	return func() error { return errors.Join(server.Close(context.Background()), endClock()) }, nil
}

// pion starts pion's server with nothing of ours around it. The default permission handler admits every peer.
func (s *served) pion(o serveOrder) (end func() error, err error) {
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	generator := &pion.RelayAddressGeneratorPortRange{
		RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1", MinPort: turn.DefaultPortMin, MaxPort: turn.DefaultPortMax,
	}
	cfg := pion.ServerConfig{
		Realm: benchRealm, AuthHandler: pion.LongTermTURNRESTAuthHandler(benchSecret, logs.NewLogger("auth")), LoggerFactory: logs,
	}
	if o.Transport == "udp" {
		packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s.Addr = packets.LocalAddr().(*net.UDPAddr).AddrPort()
		cfg.PacketConnConfigs = []pion.PacketConnConfig{{PacketConn: packets, RelayAddressGenerator: generator}}
	} else {
		conns, err := s.pionStreams(o)
		if err != nil {
			return nil, err
		}
		cfg.ListenerConfigs = []pion.ListenerConfig{{Listener: conns, RelayAddressGenerator: generator}}
	}
	server, err := pion.NewServer(cfg)
	if err != nil {
		return nil, fmt.Errorf("start pion: %w", err)
	}
	return server.Close, nil
}

func (s *served) pionStreams(o serveOrder) (net.Listener, error) {
	conns, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Addr = conns.Addr().(*net.TCPAddr).AddrPort()
	if o.Transport == "tcp" {
		return conns, nil
	}
	certificate, err := loadCertificate(o.Dir)
	if err != nil {
		return nil, errors.Join(err, conns.Close())
	}
	return tls.NewListener(conns, &tls.Config{Certificates: []tls.Certificate{certificate}}), nil
}

// Files in the benchmark's folder.
const (
	certificateFile = "certificate.pem"
	keyFile         = "key.pem"
)

func loadCertificate(dir string) (tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile))
	if err != nil {
		return c, fmt.Errorf("load the benchmark's certificate: %w", err)
	}
	return c, nil
}

// makeCertificate writes a self-signed certificate, the same for every arm.
func makeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
