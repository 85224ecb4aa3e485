// Package negotiate is `tourbillon bench ice`: how long negotiations take through real signaling over a link that loses
// and delays.
//
// # How to read the figures
//
// A negotiation is timed from the sending of the offer until the data channel is open on both sides. So many at a time
// as --sessions says run at once, each followed by the next; one that has not opened after the limit counts as failed,
// and as so long. Both ends have one address, and candidates are in the descriptions. retransmits counts connectivity
// checks that were sent while an earlier one to the same address was unanswered, and DTLS handshake messages that were
// sent again; SCTP's are encrypted. cpu_ns_per_session is all that the arm's process spent, both ends and their
// signaling clients, from making the connections to closing them, divided by the negotiations.
//
// # How the arms are kept fair
//
// An arm is a process that has both ends. Between them is a link of the benchmark's own, a process that has a UDP socket
// and sends each datagram on after half of the round trip, or not at all: which ones is drawn from the seed, the round,
// the negotiation's address and the datagram's number in it, so that the arms meet alike losses. Signaling, a `serve` in
// another process, is the same in all arms; the caller's connection to it is delayed like the datagrams, but loses
// nothing. The arms run in turn, every other round in the other order; each figure is the median over the rounds, and
// each ratio is taken within one round.
//
//   - tourbillon is what ships: the callee is the appliance's Answerer on its socket (pacing, consent), the caller has
//     what the appliance's own calls have. runtime is the same on the package-time clock: what the clock alone gives is
//     tourbillon divided by runtime.
//   - pion is pion as published, with its defaults at both ends, in the program beside this one (`make build`).
//   - answerer is our Answerer called by pion's defaults: what we give to a caller who is not ours. It runs re-timed, on
//     the engine, at both ends.
//
// options.go and report.go have the command's surface, run.go its processes, link.go and count.go the link, arm.go an
// arm, ends.go its two ends, host.go the host that pion sees.
package negotiate
