package turn_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"golang.org/x/sys/unix"

	"tourbillon/turn"
)

// TestOutOfFiles takes all file descriptors away for a while: requests are refused with 508, connections wait, and all is
// well afterwards.
func TestOutOfFiles(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	c, waiting := newRawClient(t, server, username, password), newRawClient(t, server, username, password)
	c.bare(stun.MethodAllocate)
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = uint64(socket) // Its own number and those above are out of bounds; those below are in use.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
	defer restore()
	fillHoles(t)
	c.expectSigned("allocate without files", c.allocate(), 508)
	at := addressOf(t, server, turn.TCP)
	if err := unix.Connect(socket, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the listener meets the error", func() bool { return server.Stats().Retries > 0 })

	restore()
	waiting.expectSigned("allocate afterwards", waiting.allocate(), 0)
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	if _, err := unix.Write(socket, ask); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(socket, make([]byte, 100)); err != nil || n < 20 {
		t.Errorf("the connection that waited got %d bytes, %v", n, err)
	}
	later, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if _, err := later.Write(ask); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(later, make([]byte, 20)); err != nil {
		t.Errorf("a later connection: %v", err)
	}
}

// fillHoles takes every descriptor that is still to be had, until the test ends.
func fillHoles(t *testing.T) {
	t.Helper()
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			return
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
}
