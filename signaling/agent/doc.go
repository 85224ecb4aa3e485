// Package agent holds the appliance's own ICE agents; it and its subpackages are the only users of pion/webrtc and
// pion/ice, whose timers run on the injected clock in a re-timed build.
//
// [Answerer] is the appliance as a peer: clients call it for echo and path measurement (answerer.go; one call is
// incoming.go, its negotiation negotiate.go, its data channels channels.go, what it tells of itself status.go). All calls
// share one socket of package link, which paces connectivity checks (package pacing) and asks for consent (package
// consent); package orchestrate decides when a call is restarted. An answerer never makes an offer: it asks its caller
// to, so that both never do at once.
//
// What callers send is judged before anything is made of it (offer.go). Candidates at names, or at addresses where agents
// may not send, never reach pion; pion is told the same rule for those that it finds itself, and the link keeps it once
// more for every datagram.
//
// [Hasten] is what all of them have in common that pion does not do by default, so that they connect sooner.
//
// [SelfCall] is the appliance calling itself through its own relay all the time, which proves that relaying works and
// keeps the lateness of every pion protocol measured while nobody else is calling.
package agent
