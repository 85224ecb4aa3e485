// Package probe asks a STUN or TURN server, of any make, whether it works and how well: `tourbillon probe`.
//
// [Run] takes the servers named by URLs (RFC 7064 and RFC 7065) through the same steps: connect, binding, allocate,
// echo, release, and last the NAT between here and there. It reports what it saw, and every [Problem] in words with a
// remedy. It is no load generator (that is `tourbillon bench`) and no server's own health check (that is turn.Ready).
//
// Messages are read and written by pion/stun; transactions are ours: each runs on one [timing.Retransmission] of the
// injected clock. Series of packets leave on an absolute grid, over UDP by [timing.Wire], so that the jitter reported is
// the path's rather than the sender's. A round trip counts from the instant at which its packet was due, which includes
// what the kernel's timer was late by: some tens of microseconds.
//
// Nothing waits for ever: every step ends with its answer, with [Options.Timeout], or with the caller's context.
//
// # Where things are
//
// Decisions are functions without I/O: url.go reads URLs, message.go and frame.go what servers send, login.go is the
// authentication as a state machine, problem.go and certificate.go give errors their words, tally.go makes figures of
// packets, nat.go judges mappings. The edge is link.go (sockets), addresses.go (which of a name's addresses is taken),
// exchange.go (one transaction), series.go (packets on a grid), relay.go and echo.go (the steps on a TURN server) and
// run.go, which strings them together. report.go is what comes out, text.go shows it to people.
package probe
