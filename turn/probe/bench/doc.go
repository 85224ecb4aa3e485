// Package bench is `tourbillon bench stun`: STUN Binding round trips while many signaling connections keep the same server
// busy.
//
// # How to read the figures
//
// A round trip is the instant at which the kernel of the prober's host stamped the answer minus the instant before the
// request was handed to the kernel: what the prober's own wake-up takes is not in it, what the server's takes is. Requests
// leave on a fixed grid, whether answered or not. lost counts requests without an answer one second after the last.
// cpu_ns_per_req is what the server's process spends more, in kernel and user mode, while requests come: slices with and
// without requests alternate, under the same signaling load, and the difference is divided by the answers.
//
// # How the arms are kept fair
//
// The load is the same for every arm: the signaling connections sit in rooms of two, answer the server's heartbeats and
// send a candidate to one another each second. Every arm, the load and the prober have a process of their own; the arms
// run in turn, every other round in the other order; each figure is the median over the rounds, and each ratio is taken
// within one round.
//
//   - tourbillon is `serve` as it ships, with limits off, as a benchmark from one address needs; runtime the same with
//     --clock runtime.
//   - pion is plain pion/turn, as published, in one process with the same signaling server: what one gets who puts the
//     two libraries into one program. It is the program beside this one (`make build`), on the package-time clock and
//     without the spare processor that serve adds. The appliance's own TURN listeners are there and idle.
//   - coturn has no signaling, so that `serve` stands beside it for the load. Its process has the request path to itself,
//     and its CPU figure holds nothing of signaling; only the CPUs are shared.
//
// load.go is the signaling clients, prober_linux.go the round trips, server.go the arms, rounds.go the order of things.
package bench
