//go:build interop && linux

package turn_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/turn"
)

// The addresses of the two hosts: the server's and the peer's, in network namespaces of their own.
const (
	serverAddress, serverAddress6 = "10.77.0.1", "fd77::1"
	peerAddressOf, peerAddressOf6 = "10.77.0.2", "fd77::2"
	// peerPort is coturn's echo port.
	peerPort = "3480"
)

// hosts are two network namespaces with a cable between them.
type hosts struct {
	t            *testing.T
	server, peer string
}

// newHosts needs root, as CI has, and takes everything away when the test ends.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{t: t, server: fmt.Sprintf("tbs%d", os.Getpid()), peer: fmt.Sprintf("tbp%d", os.Getpid())}
	for _, name := range []string{h.server, h.peer} {
		h.ip("netns", "add", name)
		t.Cleanup(func() { h.ip("netns", "del", name) })
		h.ip("-n", name, "link", "set", "lo", "up")
	}
	h.ip("-n", h.server, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", h.peer)
	for name, addresses := range map[string][]string{
		h.server: {serverAddress + "/24", serverAddress6 + "/64"}, h.peer: {peerAddressOf + "/24", peerAddressOf6 + "/64"},
	} {
		for _, address := range addresses {
			args := []string{"-n", name, "address", "add", address, "dev", "cable"}
			if strings.Contains(address, ":") {
				args = append(args, "nodad")
			}
			h.ip(args...)
		}
		h.ip("-n", name, "link", "set", "cable", "up")
	}
	// Whatever is not on the way elsewhere leaves by the cable.
	h.ip("-n", h.server, "route", "add", "default", "dev", "cable")
	h.ip("-n", h.server, "-6", "route", "add", "default", "dev", "cable")
	return h
}

func (h *hosts) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// in is a command inside a namespace.
func (h *hosts) in(ctx context.Context, namespace, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", namespace, program}, args...)...)
}

// helper is this test binary in another role, until stopped.
type helper struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// help starts a helper in a namespace and waits until it is ready. What it prints after it is told to stop is its report.
func (h *hosts) help(namespace, role, config string) *helper {
	h.t.Helper()
	cmd := h.in(context.Background(), namespace, os.Args[0], "-test.run=^TestHelper$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), helperVariable+"="+role, helperVariable+"_CONFIG="+config)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	p := &helper{t: h.t, cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	h.t.Cleanup(func() { p.stdin.Close(); _ = p.cmd.Wait() })
	if line := p.read(); line != "ready" {
		h.t.Fatalf("the %s says %q", role, line)
	}
	return p
}

func (p *helper) read() string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("a helper ended: %v", p.lines.Err())
	}
	return p.lines.Text()
}

// ask writes a line and returns the report in answer.
func (p *helper) ask(into any) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, "report\n"); err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(p.read()), into); err != nil {
		p.t.Fatal(err)
	}
}

// TestHelper is not a test: it is what helper processes run.
func TestHelper(t *testing.T) {
	config := os.Getenv(helperVariable + "_CONFIG")
	switch os.Getenv(helperVariable) {
	case "server":
		helpServe(t, config)
	case "wildcard":
		helpWildcard(t, config)
	case "sniffer":
		helpCount(t, sniff(t))
	case "listener":
		helpCount(t, listenForPeers(t))
	}
}

// reporting answers each line on standard input with a report, until its end.
func reporting(t *testing.T, report func() any) {
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		text, err := json.Marshal(report())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(text))
	}
}

// serverReport is what the server's helper tells.
type serverReport struct {
	Stats       turn.Stats
	Allocations map[turn.Transport]int
}

func reportOf(server *turn.Server) serverReport {
	report := serverReport{server.Stats(), make(map[turn.Transport]int)}
	for _, a := range server.Allocations() {
		report.Allocations[a.Transport]++
	}
	return report
}

// fewLimits are for tests in which everything comes from one address and one user. What one allocation may do is as by
// default: -G asks for many random peers at once.
var fewLimits = turn.Limits{
	AllocationsPerUser: turn.Unlimited, AllocationsPerSource: turn.Unlimited,
	ChallengesPerSecond: turn.Unlimited, UnauthenticatedConnsPerSource: turn.Unlimited,
}

func helpServe(t *testing.T, allowed string) {
	certificate, _ := selfSigned(t)
	cfg := turn.Config{
		TLSConfig:    certificate,
		RelayAddress: netip.MustParseAddr(serverAddress), RelayAddress6: netip.MustParseAddr(serverAddress6),
	}
	for _, address := range []string{serverAddress, serverAddress6} {
		plain, secure := net.JoinHostPort(address, "3478"), net.JoinHostPort(address, "5349")
		cfg.UDP, cfg.TCP = append(cfg.UDP, plain), append(cfg.TCP, plain)
		cfg.TLS, cfg.DTLS = append(cfg.TLS, secure), append(cfg.DTLS, secure)
	}
	for prefix := range strings.FieldsSeq(allowed) {
		cfg.AllowPeers = append(cfg.AllowPeers, netip.MustParsePrefix(prefix))
	}
	cfg.Limits = fewLimits
	server := listen(t, cfg)
	reporting(t, func() any { return reportOf(server) })
}

// helpWildcard serves on every address at once, of both families or of one, in the loops or without them.
func helpWildcard(t *testing.T, config string) {
	certificate, _ := selfSigned(t)
	way, address, _ := strings.Cut(config, " ")
	server := listen(t, turn.Config{
		UDP: []string{address}, DTLS: []string{strings.ReplaceAll(address, "3478", "5349")}, TLSConfig: certificate,
		RelayAddress: netip.MustParseAddr(serverAddress), RelayAddress6: netip.MustParseAddr(serverAddress6),
		AllowPeers:   []netip.Prefix{netip.MustParsePrefix(peerAddressOf + "/32"), netip.MustParsePrefix(peerAddressOf6 + "/128")},
		WithoutLoops: way == "goroutines", Limits: fewLimits,
	})
	reporting(t, func() any { return reportOf(server) })
}

// frames is what was seen, by what it was.
type frames map[string]int

func helpCount(t *testing.T, seen <-chan string) {
	counted := frames{}
	take := func() {
		for {
			select {
			case what := <-seen:
				counted[what]++
			default:
				return
			}
		}
	}
	reporting(t, func() any { take(); return counted })
}

// sniff tells every frame on the cable that a relay could have caused, by its destination.
func sniff(t *testing.T) <-chan string {
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, all)
	if err != nil {
		t.Fatal(err)
	}
	cable, err := net.InterfaceByName("cable")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: cable.Index}); err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1<<16)
	go func() { // Ends with the process.
		frame := make([]byte, 1<<16)
		for {
			n, from, err := unix.Recvfrom(socket, frame, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return
			}
			if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype != unix.PACKET_OUTGOING {
				if what := destination(frame[:n]); what != "" {
					seen <- what
				}
			}
		}
	}()
	return seen
}

// destination names the IP destination of a frame, or the address that ARP asks for. Neighbour discovery, multicast
// listener reports and router solicitations are the kernel's own and are passed over, but for neighbours asked for.
func destination(frame []byte) string {
	const ethernet = 14
	if len(frame) < ethernet+28 {
		return ""
	}
	p := frame[ethernet:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return netip.AddrFrom4([4]byte(p[16:20])).String()
	case unix.ETH_P_ARP:
		return "ARP " + netip.AddrFrom4([4]byte(p[24:28])).String()
	case unix.ETH_P_IPV6:
		const icmp6 = 58
		if len(p) < 40 {
			return ""
		}
		if p[6] != icmp6 && p[6] != 0 {
			return netip.AddrFrom16([16]byte(p[24:40])).String()
		}
		source := netip.AddrFrom16([16]byte(p[8:24]))                                 // Unspecified when a host looks whether its own address is free.
		if len(p) >= 64 && p[6] == icmp6 && p[40] == 135 && !source.IsUnspecified() { // Neighbour solicitation, its target.
			return "ND " + netip.AddrFrom16([16]byte(p[48:64])).String()
		}
	}
	return ""
}

// listenForPeers tells every datagram to the peer's port of this host, at any of its addresses.
func listenForPeers(t *testing.T) <-chan string {
	socket, err := net.ListenPacket("udp", "[::]:"+peerPort)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1<<16)
	go func() { // Ends with the process.
		buffer := make([]byte, 2048)
		for {
			if _, _, err := socket.ReadFrom(buffer); err != nil {
				return
			}
			seen <- "datagram"
		}
	}()
	return seen
}

// uclient runs coturn's client inside the server's namespace and returns what it printed.
func (h *hosts) uclient(args ...string) (out string, err error) {
	return h.uclientFor(uclientDeadline, args...)
}

func (h *hosts) uclientFor(limit time.Duration, args ...string) (out string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var printed bytes.Buffer
	cmd := h.in(ctx, h.server, "turnutils_uclient", args...)
	cmd.Stdout, cmd.Stderr = &printed, &printed
	err = cmd.Run()
	return printed.String(), err
}

// everyWay are uclient's flags for each transport.
var everyWay = map[string][]string{"udp": nil, "tcp": {"-t"}, "tls": {"-t", "-S"}, "dtls": {"-S"}}

// uclientsAtOnce is how many run beside one another: each waits most of its time.
const uclientsAtOnce = 8

// everyUclient are the arguments for every combination of family, transport and mode.
func everyUclient() (all [][]string) {
	for _, family := range []struct{ at, peer, flag string }{
		{serverAddress, peerAddressOf, ""}, {serverAddress6, peerAddressOf6, "-x"}, {serverAddress, peerAddressOf6, "-x"},
	} {
		for _, flags := range everyWay {
			for _, mode := range []string{"", "-s", "-y", "-y -s", "-G", "-y -G", "-s -G"} {
				args := append([]string{"-c", "-m", "2", "-n", "10", "-l", "170", "-z", "5", "-W", testSecret, "-u", "alice"}, flags...)
				args = append(args, strings.Fields(mode+" "+family.flag)...)
				if !strings.Contains(mode, "-y") {
					args = append(args, "-e", family.peer, "-r", peerPort)
				}
				all = append(all, append(args, family.at))
				if mode == "-y" && family.flag == "" { // With RTCP, whose port is reserved: EVEN-PORT and RESERVATION-TOKEN.
					all = append(all, all[len(all)-1][1:])
				}
			}
		}
	}
	return all
}

// TestUclientEverywhere runs coturn's client over every transport, to an echo peer and between two relays, with
// channels and with indications, with and without extra requests, over IPv4 and IPv6.
func TestUclientEverywhere(t *testing.T) {
	h := newHosts(t)
	server := h.help(h.server, "server", "10.77.0.2/32 fd77::2/128")
	for _, address := range []string{peerAddressOf, peerAddressOf6} {
		peer := h.in(context.Background(), h.peer, "turnutils_peer", "-L", address, "-p", peerPort)
		if err := peer.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = peer.Process.Kill(); _ = peer.Wait() })
	}
	var running sync.WaitGroup
	places := make(chan struct{}, uclientsAtOnce)
	all := everyUclient()
	slow := make(chan []string, len(all))
	for _, args := range all {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if !h.served(t, args) {
				slow <- args
			}
		})
	}
	running.Wait()
	close(slow)
	// One that ran out of time beside the others has to be served when it is alone.
	for args := range slow {
		t.Logf("uclient %v ran out of time, once more by itself", args)
		if !h.served(t, args) {
			t.Errorf("uclient %v ran out of time twice", args)
		}
	}
	var report serverReport
	server.ask(&report)
	if report.Stats.Panics != 0 || len(report.Stats.DeniedPackets) != 0 {
		t.Errorf("%+v", report.Stats)
	}
}

// served runs one client, which has to lose nothing; false when it ran out of time.
func (h *hosts) served(t *testing.T, args []string) bool {
	began := time.Now()
	out, err := h.uclient(args...)
	switch {
	case err != nil && time.Since(began) >= uclientDeadline:
		return false
	case err != nil:
		t.Errorf("uclient %v: %v\n%s", args, err, out)
	default:
		expectNoLoss(t, args, []byte(out))
	}
	return true
}

// Other addresses of the server's host, on the same cable. The routing table chooses the first for what leaves.
var otherAddresses = []string{"10.77.0.3", "10.77.0.4", "fd77::3", "fd77::4"}

// TestUclientAtEveryAddress has the server listen on a wildcard address of a host with several, and coturn's client on
// the other host ask each of them, in the loops and without them, by channel and by indication, over UDP and DTLS. Its
// sockets are connected: an answer from another address than it asked does not reach it.
func TestUclientAtEveryAddress(t *testing.T) {
	for _, config := range []string{
		"loops [::]:3478", "loops 0.0.0.0:3478", "goroutines [::]:3478", "goroutines 0.0.0.0:3478",
	} {
		t.Run(config, func(t *testing.T) {
			h := newHosts(t)
			for _, address := range otherAddresses {
				if strings.Contains(address, ":") {
					h.ip("-n", h.server, "address", "add", address+"/64", "dev", "cable", "nodad")
				} else {
					h.ip("-n", h.server, "address", "add", address+"/24", "dev", "cable")
				}
			}
			server := h.help(h.server, "wildcard", config)
			for _, address := range []string{peerAddressOf, peerAddressOf6} {
				peer := h.in(context.Background(), h.peer, "turnutils_peer", "-L", address, "-p", peerPort)
				if err := peer.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = peer.Process.Kill(); _ = peer.Wait() })
			}
			h.askEveryAddress(t, !strings.Contains(config, "["))
			var report serverReport
			server.ask(&report)
			if report.Stats.Panics != 0 || report.Stats.FromPeers.Packets == 0 || len(report.Stats.DeniedPackets) != 0 {
				t.Errorf("%+v", report.Stats)
			}
		})
	}
}

// askEveryAddress runs coturn's client on the peer's host against every address of the server's.
func (h *hosts) askEveryAddress(t *testing.T, only4 bool) {
	var running sync.WaitGroup
	for _, address := range append([]string{serverAddress, serverAddress6}, otherAddresses...) {
		for _, mode := range []string{"", "-s", "-S"} {
			args := []string{"-c", "-m", "2", "-n", "10", "-l", "170", "-z", "5", "-W", testSecret, "-u", "alice"}
			args = append(args, strings.Fields(mode)...)
			switch six := strings.Contains(address, ":"); {
			case six && only4:
				continue
			case six:
				args = append(args, "-x", "-e", peerAddressOf6, "-r", peerPort, address)
			default:
				args = append(args, "-e", peerAddressOf, "-r", peerPort, address)
			}
			running.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), uclientDeadline)
				defer cancel()
				out, err := h.in(ctx, h.peer, "turnutils_uclient", args...).CombinedOutput()
				if err != nil {
					t.Errorf("uclient %v: %v\n%s", args, err, out)
					return
				}
				expectNoLoss(t, args, out)
			})
		}
	}
	running.Wait()
}

// TestUclientMisbehaves runs the negative sets and looks whether the server is as it was: it serves, and what came by a
// connection has gone with it. A client that goes without a word over UDP keeps its allocation for its lifetime.
func TestUclientMisbehaves(t *testing.T) {
	h := newHosts(t)
	server := h.help(h.server, "server", "")
	var running sync.WaitGroup
	for way, flags := range everyWay {
		running.Go(func() { misbehave(t, h, way, flags) })
	}
	running.Wait()
	var report serverReport
	eventually(t, "no allocation of a connection is left", func() bool {
		server.ask(&report)
		return report.Allocations[turn.TCP]+report.Allocations[turn.TLS] == 0
	})
	if report.Stats.Panics != 0 || report.Stats.Created == 0 {
		t.Errorf("%+v", report.Stats)
	}
}

// The set of what is no protocol, and how long it goes on: over UDP the client waits for minutes for answers that it does
// not deserve.
const (
	garbageSet  = "-N -R"
	garbageGoes = 20 * time.Second
)

// misbehave runs every set over one transport, beside one another. Relays to TCP peers and DONT-FRAGMENT must be refused;
// mobility and dual allocation are asked for by attributes that a server may pass over, and dual allocation then ends the
// client.
func misbehave(t *testing.T, h *hosts, way string, flags []string) {
	usual := append([]string{"-y", "-c", "-m", "2", "-n", "5", "-W", testSecret, "-u", "alice"}, flags...)
	var running sync.WaitGroup
	for _, mode := range []string{garbageSet, "-O", "-B", "-Z", "-M", "-T", "-P", "-g"} {
		running.Go(func() {
			limit := uclientDeadline
			if mode == garbageSet {
				limit = garbageGoes
			}
			out, err := h.uclientFor(limit, slices.Concat(usual, strings.Fields(mode), []string{serverAddress})...)
			if (mode == "-T" || mode == "-P" || mode == "-g") && err == nil {
				t.Errorf("%s %s was served:\n%s", way, mode, out)
			}
		})
	}
	running.Wait()
	if out, err := h.uclient(append(usual, serverAddress)...); err != nil {
		t.Errorf("after misbehaviour over %s nobody is served: %v\n%s", way, err, out)
	}
}

// TestDeniedPeersSeeNothing aims coturn's client at addresses that no relay may reach, over UDP and TCP, by channel and by
// indication, and watches the cable and the host's own sockets: not one packet goes there.
func TestDeniedPeersSeeNothing(t *testing.T) {
	h := newHosts(t)
	server := h.help(h.server, "server", "10.77.0.2/32")
	cable, sockets := h.help(h.peer, "sniffer", ""), h.help(h.server, "listener", "")
	var running sync.WaitGroup
	for _, target := range []struct{ address, flag string }{
		{"169.254.169.254", ""}, {"0.0.0.0", ""}, {"127.0.0.1", ""}, {"10.0.0.5", ""}, {"10.77.0.1", ""}, {"192.168.1.1", ""},
		{"::ffff:127.0.0.1", "-x"}, {"::ffff:169.254.169.254", "-x"}, {"64:ff9b::a9fe:a9fe", "-x"},
		{"::1", "-x"}, {"fe80::1", "-x"}, {"fd00:ec2::254", "-x"},
	} {
		running.Go(func() { expectDenied(t, h, target.address, target.flag) })
	}
	running.Wait()
	var report serverReport
	server.ask(&report)
	if report.Stats.ToPeers.Packets != 0 || len(report.Stats.DeniedPermissions) == 0 {
		t.Errorf("%+v", report.Stats)
	}
	// The watch can see: what is allowed arrives. What came before it has been seen by then.
	peer := h.in(context.Background(), h.peer, "turnutils_peer", "-L", peerAddressOf, "-p", peerPort)
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Process.Kill(); _ = peer.Wait() })
	var onCable, inSockets frames
	for tries := 0; onCable[peerAddressOf] < 5; tries++ {
		if tries == 10 {
			t.Fatalf("the sniffer saw %v", onCable)
		}
		// A client that is short of time sends less than it was told, and reports success.
		out, err := h.uclient("-c", "-n", "5", "-W", testSecret, "-u", "alice", "-e", peerAddressOf, "-r", peerPort, serverAddress)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cable.ask(&onCable)
	}
	sockets.ask(&inSockets)
	for what := range onCable {
		if what != peerAddressOf && what != "ARP "+peerAddressOf {
			t.Errorf("%s was seen on the cable: %v", what, onCable)
		}
	}
	if len(inSockets) != 0 {
		t.Errorf("at our own sockets %v", inSockets)
	}
}

// expectDenied lets coturn's client try an address over UDP and TCP, by channel and by indication.
func expectDenied(t *testing.T, h *hosts, address, flag string) {
	for _, mode := range []string{"", "-s", "-t", "-t -s"} {
		args := []string{"-c", "-n", "5", "-W", testSecret, "-u", "alice", "-e", address, "-r", peerPort}
		args = append(args, strings.Fields(mode+" "+flag)...)
		out, err := h.uclient(append(args, serverAddress)...)
		received := uclientSent.FindAllStringSubmatch(out, -1)
		if err == nil && len(received) > 0 && received[len(received)-1][2] != "0" {
			t.Errorf("uclient %v was served:\n%s", args, out)
		}
	}
}
