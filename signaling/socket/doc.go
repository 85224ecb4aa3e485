// Package socket carries the server's side of WebSocket connections (RFC 6455) once the handshake is done: it makes
// messages of what a client sends and writes to it without waiting. What is said on a connection is not its business.
//
// # Design
//
// An idle connection has neither a goroutine nor a buffer: its memory is that of this package's Conn and of what its
// owner keeps. On Linux one goroutine waits for all connections of a [Poller] (an epoll of its own), reads what is there
// and has short work done on the spot; what may block or take long goes to one of a few other goroutines together with the
// connection, so that the next connection does not wait for it. A connection is read by one goroutine at a time, and its
// messages are taken in their order.
//
// TLS, whose library has to wait for the rest of a record, and other systems have one goroutine per connection that reads;
// it leaves what needs a deep stack to the same few others.
package socket
