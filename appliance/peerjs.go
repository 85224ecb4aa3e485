package appliance

import (
	"slices"
	"time"

	"tourbillon/signaling"
	"tourbillon/signaling/peerjs"
)

// peerJSRoom is the room whose join tokens open the PeerJS service.
const peerJSRoom = "peerjs"

func (a *appliance) peerJSConfig(verifier *signaling.Verifier) peerjs.Config {
	return peerjs.Config{
		Clock:  a.meter.Clock("signaling.peerjs", a.clock),
		Prefix: a.config.PeerJS.Prefix, Key: a.config.PeerJS.Key,
		Open: a.config.PeerJSOpen(), Tokens: peerJSTokens{verifier}, Credentials: peerJSServers{a},
		Origins: slices.Concat(a.origins(), a.config.PeerJS.Origins), LoopbackPages: a.config.HTTPPrivate(),
		Discovery: a.config.PeerJS.Discovery,
		Limits:    peerjs.Limits{Off: a.config.LimitsOff()}, Log: a.log,
	}
}

// peerJSTokens is what the PeerJS service asks of signaling: its tokens.
type peerJSTokens struct{ verifier *signaling.Verifier }

func (t peerJSTokens) Admit(token string, now time.Time) error {
	return t.verifier.Verify(token, peerJSRoom, now)
}

// peerJSServers is what the PeerJS service asks of the relay.
type peerJSServers struct{ a *appliance }

func (p peerJSServers) ICEServers(user, host string) (servers []peerjs.ICEServer, ttl time.Duration) {
	urls, username, credential, ttl := p.a.turn.ICEServers(user, time.Now(), p.a.turnHost(host))
	return []peerjs.ICEServer{{URLs: urls, Username: username, Credential: credential}}, ttl
}

// openPeerJS makes the PeerJS service, if it is on. It starts nothing and is closed with the public listener.
func (a *appliance) openPeerJS(verifier *signaling.Verifier) {
	if !a.config.PeerJS.Enabled {
		return
	}
	a.peerjs = peerjs.New(a.peerJSConfig(verifier))
	if a.config.PeerJSOpen() && !a.config.HTTPPrivate() {
		a.log.Warn("the PeerJS service is open: anybody who reaches this server can use it, its relay included", "listen", a.config.HTTP.Listen)
	}
}
