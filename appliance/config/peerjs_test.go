package config_test

import (
	"strings"
	"testing"

	"tourbillon/appliance/config"
)

func TestPeerJSIsOpenOnlyWhereSaid(t *testing.T) {
	for options, want := range map[string]bool{
		"":                                      true,
		"http.listen=192.0.2.1:8080":            false,
		"http.public_url=https://a.example.org": false,
		"http.listen=192.0.2.1:8080 peerjs.open=true": true,
		"peerjs.open=false":                           false,
	} {
		c, err := config.Load("", strings.Fields(options))
		if err != nil {
			t.Fatal(err)
		}
		if c.PeerJSOpen() != want {
			t.Errorf("%q: open %v, want %v", options, !want, want)
		}
	}
}

func TestPeerJSSettings(t *testing.T) {
	for option, good := range map[string]bool{
		"peerjs.prefix=/": true, "peerjs.prefix=/my/app": true, "peerjs.prefix=/my/": true,
		"peerjs.prefix=my": false, "peerjs.prefix=": false, "peerjs.prefix=//": false, "peerjs.prefix=/a b": false, "peerjs.prefix=/:id": false,
		"peerjs.key=k_1": true, "peerjs.key=": false, "peerjs.key=a/b": false,
		"peerjs.origins=[*]": true, "peerjs.origins=[https://app.example]": true, "peerjs.origins=[app.example]": false,
		"http.origins=[*]": false,
	} {
		if _, err := config.Load("", []string{option}); (err == nil) != good {
			t.Errorf("%s: %v, want it to pass: %v", option, err, good)
		}
	}
}
