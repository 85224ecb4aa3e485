// Package link is the one UDP socket of all ICE agents, and each agent's [Path] over it: connectivity checks leave paced
// (package pacing), consent is asked for and judged (package consent), and what consent or the admission rule forbids
// does not leave.
//
// # Design
//
// pion's UDP mux reads from and writes to a [Socket]. Answers to our consent checks are taken out before the mux sees
// them. Each agent gets a mux of its own, [Path.Mux], which wraps the shared one: so every datagram that pion sends is
// known to be of a certain agent. A path judges it:
//
//   - an address that the admission rule forbids, or that is another agent's selected one, gets nothing: pion's mux gives
//     what comes from an address to whoever wrote there last, so a second agent could take the first one's packets;
//   - a Binding request waits for its turn in the pacer, which all paths share;
//   - other STUN messages pass;
//   - all else passes unless consent has expired.
//
// Consent checks are the socket's own: one per agent in 4 to 6 s, prepared ahead and sent by the kernel where a
// [timing.Wire] is given.
//
// With a listener there is TCP beside it (stream.go): pion's TCP mux over connections that are bounded in number, which
// peers open and we never do (RFC 6544 passive candidates). Checks are paced and consent is asked for there, too, over the
// connection and by a timer.
package link
