package netlab

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// router is the router's place in the names of namespaces and cables.
const router = "router"

// Network is hosts around a router. Make one with [New]; the test's goroutine owns it.
type Network struct {
	t    testing.TB
	name string
}

// PortChoice is how the router's address translator picks the port of a mapping, as flags of the kernel's
// (linux/netfilter/nf_nat.h).
type PortChoice uint32

const (
	// KeepPorts keeps the host's own port where that is free, so that all destinations see the same one.
	KeepPorts PortChoice = 0
	// RandomPorts takes any, by chance, for each destination.
	RandomPorts PortChoice = 1<<2 | 1<<4
)

// New makes the one network of a test, of hosts by their addresses, each an IPv4 address in a /24 of its own whose .1 is the router's. All
// of it is gone when the test has ended. Where that cannot be, for want of root, the test fails.
func New(t testing.TB, hosts map[string]string) *Network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes network namespaces, which needs root: run it as root, or leave the tag interop out")
	}
	n := &Network{t: t, name: fmt.Sprintf("tb%d-%08x-", os.Getpid(), crc32.ChecksumIEEE([]byte(t.Name())))}
	n.add(router)
	n.must("forward", within(n.namespace(router), func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) // That of the namespace.
	}))
	for host, address := range hosts {
		n.add(host)
		n.run("ip", "-n", n.namespace(router), "link", "add", host, "type", "veth", "peer", "name", "cable", "netns", n.namespace(host))
		n.run("ip", "-n", n.namespace(router), "address", "add", gateway(address)+"/24", "dev", host)
		n.run("ip", "-n", n.namespace(router), "link", "set", host, "up")
		n.Move(host, address)
	}
	return n
}

func (n *Network) add(host string) {
	n.t.Helper()
	n.run("ip", "netns", "add", n.namespace(host))
	n.t.Cleanup(func() { n.run("ip", "netns", "del", n.namespace(host)) })
	n.run("ip", "-n", n.namespace(host), "link", "set", "lo", "up")
}

func (n *Network) namespace(host string) string { return n.name + host }

func gateway(address string) string { return address[:strings.LastIndex(address, ".")] + ".1" }

// Move gives a host an address of its link in place of all that it has.
func (n *Network) Move(host, address string) {
	n.t.Helper()
	n.run("ip", "-n", n.namespace(host), "address", "flush", "dev", "cable")
	n.Add(host, address)
	n.run("ip", "-n", n.namespace(host), "link", "set", "cable", "up")
	n.run("ip", "-n", n.namespace(host), "route", "replace", "default", "via", gateway(address))
}

// Add gives a host another address of its link.
func (n *Network) Add(host, address string) {
	n.t.Helper()
	n.run("ip", "-n", n.namespace(host), "address", "add", address+"/24", "dev", "cable")
}

// Inside has a command that was not started yet run on a host.
func (n *Network) Inside(host string, cmd *exec.Cmd) *exec.Cmd {
	n.t.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		n.t.Fatalf("install iproute2: %v", err)
	}
	cmd.Args = append([]string{"ip", "netns", "exec", n.namespace(host), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = ip
	return cmd
}

// Masquerade has the router hide a host behind its own address on whichever link a packet leaves by.
func (n *Network) Masquerade(host string, ports PortChoice) {
	n.t.Helper()
	n.must("translate", n.masquerade(netip.MustParseAddr(host).As4(), ports))
}

// Forget has the router drop every mapping, as a translator does that is switched off and on.
func (n *Network) Forget() {
	n.t.Helper()
	n.must("forget", n.forget())
}

// Lose has the router drop everything without a word, until Pass.
func (n *Network) Lose() {
	n.t.Helper()
	n.must("lose packets", n.lose())
}

// Pass ends what Lose began.
func (n *Network) Pass() {
	n.t.Helper()
	n.must("pass packets", n.pass())
}

func (n *Network) must(what string, err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("have the router %s: %v", what, err)
	}
}

func (n *Network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("no network namespace could be set up: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// within calls f on a thread that is in a network namespace, and has the thread back where it was after that. One that
// cannot go back ends with its goroutine.
func within(namespace string, f func() error) error {
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open(filepath.Join("/run/netns", namespace))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	failed := f()
	if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
		return errors.Join(failed, fmt.Errorf("leave %s: %w", namespace, err))
	}
	runtime.UnlockOSThread()
	return failed
}
