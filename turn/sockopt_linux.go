package turn

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// unacknowledgedLimit is how long a client may leave sent bytes unacknowledged, or its window shut, before the kernel
// ends the connection: a relay's goroutine blocks in the write meanwhile.
const unacknowledgedLimit = 30 * time.Second

// limitUnacknowledged sets TCP_USER_TIMEOUT (RFC 5482), in ms. A connection that refuses it is served without.
func limitUnacknowledged(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledgedLimit.Milliseconds()))
	})
}
