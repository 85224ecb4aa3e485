package config

import (
	"fmt"
	"regexp"
	"slices"
)

// PeerJS configures the service for the npm package peerjs.
type PeerJS struct {
	// Enabled serves it.
	Enabled bool `yaml:"enabled"`
	// Prefix is the path under which it is, the client's option path: its socket is at PREFIX/peerjs, ids are at
	// PREFIX/KEY/id, ICE servers of ours at PREFIX/KEY/ice.
	Prefix string `yaml:"prefix"`
	// Key is the client's option key. It keeps nobody out: it stands in the page.
	Key string `yaml:"key"`
	// Open lets everybody in who names the key. Otherwise the client's option token has to be a token for the room
	// "peerjs" (`tourbillon credentials token --room peerjs`), one for each user. Left out, the service is open while
	// http.listen is loopback and http.public_url names no other host.
	Open *bool `yaml:"open"`
	// Origins are web origins whose pages may use the service besides those of http.origins; "*" stands for all. While
	// only this machine reaches HTTP, pages that it serves itself may, too.
	Origins []string `yaml:"origins"`
	// Discovery lets everybody list the ids of all clients, at PREFIX/KEY/peers.
	Discovery bool `yaml:"discovery"`
}

func defaultPeerJS() PeerJS { return PeerJS{Enabled: true, Prefix: "/", Key: "peerjs"} }

// PeerJSOpen reports whether the PeerJS service needs no token, said explicitly, or by default while only this machine reaches HTTP.
func (c *Config) PeerJSOpen() bool {
	if c.PeerJS.Open != nil {
		return *c.PeerJS.Open
	}
	return c.HTTPPrivate()
}

// namedOrigins are the origins that are no "*".
func (p *PeerJS) namedOrigins() []setting {
	return keyed("peerjs.origins", slices.DeleteFunc(slices.Clone(p.Origins), func(o string) bool { return o == "*" }))
}

// PeerJS paths are made of words that need no escaping in a URL.
var (
	peerJSPrefix = regexp.MustCompile(`^/([A-Za-z0-9._~-]+/?)*$`)
	peerJSKey    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func (v *validation) peerJS(p *PeerJS) {
	v.check(peerJSPrefix.MatchString(p.Prefix), "peerjs.prefix", fmt.Sprintf("%q is no path", shortened(p.Prefix)), "write /, or for example /myapp")
	v.check(peerJSKey.MatchString(p.Key), "peerjs.key", fmt.Sprintf("%q is no key", shortened(p.Key)), "use 1 to 64 letters, digits, '-' or '_'")
}
