// Package appliance puts the product together: it is the only package that knows all others. [Run] opens everything
// in the order clock, relay, signaling, listeners, and closes it in reverse.
//
// Where things are: appliance.go starts and stops, public.go and admin.go are the two HTTP listeners, sampler.go
// gathers what the admin page shows, wiring.go fits the rooms of the house to the interfaces that each asks for,
// clock.go opens the injected clock, state.go keeps the secrets, notify.go talks to systemd.
package appliance
