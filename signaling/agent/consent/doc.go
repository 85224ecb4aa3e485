// Package consent decides whether an ICE agent may go on sending to its peer (consent freshness, RFC 7675) and builds
// and judges the Binding messages by which it asks.
//
// It is pure: [Machine] turns (state, event, instant) into effects, [Credentials] turns values into datagrams. It reads
// no clock, takes no lock and sends nothing; package link carries the effects out.
package consent
