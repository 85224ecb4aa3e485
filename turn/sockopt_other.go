//go:build !linux

package turn

import "net"

// limitUnacknowledged does nothing where there is no TCP_USER_TIMEOUT.
func limitUnacknowledged(net.Conn) {}
