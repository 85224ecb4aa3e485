// Package agent holds the appliance's own ICE agents; it is the only user of pion/webrtc and pion/ice, whose timers
// run on the injected clock in a re-timed build.
//
// This storey has one agent: [SelfCall], the appliance calling itself through its own relay all the time, which proves
// that relaying works and keeps the lateness of every pion protocol measured while nobody else is calling.
package agent
