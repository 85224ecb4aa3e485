//go:build !linux

package socket

import "net"

// loop does not exist here: each connection has a goroutine.
type loop struct{}

func (*loop) stop() {}

func (p *Poller) connectLocked(c *Conn, over net.Conn) { c.wire = newStream(over) }
