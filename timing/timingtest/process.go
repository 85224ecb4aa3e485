package timingtest

import (
	"fmt"
	"net/netip"
	"os"
	"testing"
)

// OpenFiles counts this process's open file descriptors, the one that counts included. Sockets that are closed may take a
// while to be gone, and the collector may close what an earlier test has left.
func OpenFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatalf("count open files: %v", err)
	}
	return len(entries)
}

// OwnLoopback is an address of loopback that no other process uses at the time, other test binaries included, so that a
// port of it which was closed is still free for being opened again. A socket of all addresses may have the port even so.
func OwnLoopback() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(1 + pid>>14), byte(pid >> 7), byte(1 + pid&0x7f)})
}

// childVariable marks the processes that a test binary starts by executing itself.
const childVariable = "TOURBILLON_TEST_AS_CHILD"

// Children lets the processes that this test binary starts by executing itself be what child does; call it first in
// TestMain. It returns in the first process alone; in the others it ends the process.
func Children(child func() error) {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// A program built with the race detector waits a second before it ends, unless told.
	for name, value := range map[string]string{childVariable: "1", "GORACE": "atexit_sleep_ms=0 " + os.Getenv("GORACE")} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
}
