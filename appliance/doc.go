// Package appliance puts the product together: it is the only package that knows all others. [Run] opens everything
// in the order state, clock, agents, relay, signaling, admin listener, public listener, the call to itself, and closes it in
// reverse.
//
// Where things are: appliance.go starts and stops, public.go and admin.go are the two HTTP listeners, sampler.go
// gathers what the admin page shows, usage.go the relay's limits, health.go is /livez, /readyz and /metrics. wiring.go fits
// the rooms of the house to the interfaces that each asks for, agents.go and paths.go are the ICE agents and what is done
// about clients' paths, vend.go issues TURN credentials. judge.go and reload.go hold the configuration's rules at the
// start and on SIGHUP, clock.go opens the injected clock, state.go keeps the secrets, notify.go talks to systemd.
package appliance
