//go:build interop

package probe

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tourbillon/timing/timingtest"
)

// TestCoturn probes Debian's coturn over each transport. It needs turnserver (package coturn).
func TestCoturn(t *testing.T) {
	plain, secure, o := coturn(t, "--allow-loopback-peers", "--cli-password=none-is-used")
	for _, c := range []Target{target(TURN, plain, UDP), target(TURN, plain, TCP), target(TURNS, secure, TLS)} {
		t.Run(string(c.Transport), func(t *testing.T) {
			s := only(t, []Target{c}, o)
			checkGood(t, s)
			if !strings.Contains(s.Software, "Coturn") {
				t.Errorf("software %q", s.Software)
			}
		})
	}
	wrong := o
	wrong.Password = "wrong"
	fails(t, only(t, []Target{target(TURN, plain, UDP)}, wrong), stepAllocate, CodeWrongUser)
	untrusted := o
	untrusted.Roots = pool()
	fails(t, only(t, []Target{target(TURNS, secure, TLS)}, untrusted), stepConnect, CodeCertificate)
}

// TestCoturnDeniesPeers has coturn deny loopback peers, as it does unless told otherwise.
func TestCoturnDeniesPeers(t *testing.T) {
	plain, _, o := coturn(t)
	s := only(t, []Target{target(TURN, plain, UDP)}, o)
	if !s.OK || s.Steps[3].Status != StatusDenied || s.Problems[0].Code != CodePeerDenied {
		t.Errorf("%+v\n%+v", s.Steps, problems(s))
	}
}

// TestCoturnWithTwoAddresses asks a coturn that listens on two addresses what stands between (RFC 5780): nothing, so its
// second address, to which no packet went before, may answer too.
func TestCoturnWithTwoAddresses(t *testing.T) {
	plain, _, o := coturn(t, "--listening-ip=127.0.0.2", "--relay-ip=127.0.0.2", "--alt-listening-port="+strconv.Itoa(freePort(t, timingtest.OwnLoopback().String())))
	o.Count = 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	report := Run(ctx, []Target{target(STUN, plain, UDP)}, o)
	if !report.OK || len(report.NAT) != 1 {
		t.Fatalf("%+v", report)
	}
	n := report.NAT[0]
	if len(n.Mapped) != 2 || n.Translated || n.Mapping != mappingNone || n.Filtering != filteringOpen {
		t.Errorf("%+v", n)
	}
}

// TestCoturnRelaysIPv4OverIPv6 reaches a coturn over IPv6 that relays IPv4 alone: every step works, one of them at the second
// attempt. The echo goes by way of a second allocation, and where one is all that a user may have by way of a socket.
func TestCoturnRelaysIPv4OverIPv6(t *testing.T) {
	for _, c := range []struct {
		peer    string
		options []string
		over    []Transport
	}{
		{peerAllocation, nil, []Transport{UDP, TCP}},
		{peerOwnSocket, []string{"--user-quota=1"}, []Transport{UDP}}, // coturn counts an allocation for a while after its release.
	} {
		t.Run(c.peer, func(t *testing.T) {
			plain, _, o := coturnOn(t, "::1", append(c.options, "--allow-loopback-peers", "--cli-password=none-is-used")...)
			for _, over := range c.over {
				s := only(t, []Target{target(TURN, plain, over)}, o)
				if !s.OK || len(s.Problems) != 1 || s.Problems[0].Code != CodeFamily || len(s.Series) != 2 || s.Allocation.Peer != c.peer {
					t.Errorf("%s: %+v\n%+v %+v", over, problems(s), s.Steps, s.Allocation)
				}
			}
		})
	}
}

// coturn starts a server of its own configuration on loopback.
func coturn(t *testing.T, options ...string) (plain, secure netip.AddrPort, o Options) {
	t.Helper()
	return coturnOn(t, timingtest.OwnLoopback().String(), options...)
}

// coturnOn listens on an address. It relays from 127.0.0.1.
func coturnOn(t *testing.T, address string, options ...string) (plain, secure netip.AddrPort, o Options) {
	t.Helper()
	program, err := exec.LookPath("turnserver")
	if err != nil {
		t.Fatalf("install coturn, or leave out the build tag interop: %v", err)
	}
	dir := t.TempDir()
	root := writeCertificate(t, dir)
	port, tlsPort := freePort(t, address), freePort(t, address)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, append([]string{
		"-n", "--listening-ip=" + address, "--relay-ip=127.0.0.1", "--listening-port=" + strconv.Itoa(port),
		"--tls-listening-port=" + strconv.Itoa(tlsPort), "--cert=" + filepath.Join(dir, "cert.pem"), "--pkey=" + filepath.Join(dir, "key.pem"),
		"--lt-cred-mech", "--user=u:p", "--realm=r", "--no-cli", "--log-file=stdout", "--simple-log", "--pidfile=" + filepath.Join(dir, "pid"),
		"--userdb=" + filepath.Join(dir, "db"), "--relay-threads=1",
	}, options...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // Killed.
		if t.Failed() {
			t.Logf("coturn:\n%s", log.String())
		}
	})
	local := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port))
	}
	for _, at := range []netip.AddrPort{local(port), local(tlsPort)} {
		eventually(t, "coturn accepts connections", func() bool {
			conn, err := net.Dial("tcp", at.String())
			return err == nil && conn.Close() == nil
		})
	}
	// coturn opens its UDP sockets after those.
	asked := Options{Timeout: time.Second}
	eventually(t, "coturn answers over UDP", func() bool { return Run(t.Context(), []Target{target(STUN, local(port), UDP)}, asked).OK })
	o = Options{User: "u", Password: "p", Count: 5, Interval: MinInterval, Timeout: 20 * time.Second, Roots: pool(root), Wall: func() time.Time { return epoch }}
	return local(port), local(tlsPort), o
}

func freePort(t *testing.T, address string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func writeCertificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	certificate, leaf := certify(t, "turn.example", nil, timingtest.OwnLoopback().AsSlice())
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}
