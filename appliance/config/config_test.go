package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tourbillon/appliance/config"
)

func TestDefaultsAreValidAndLocal(t *testing.T) {
	c, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, config.Default()) {
		t.Errorf("Load changed the defaults: %+v", c)
	}
	if !c.Loopback() || !c.OpenRooms() || len(c.TURNTLS()) != 0 {
		t.Errorf("the defaults are not for one machine: loopback %v, open rooms %v, turns %v", c.Loopback(), c.OpenRooms(), c.TURNTLS())
	}
}

func TestFileAndOptions(t *testing.T) {
	file := write(t, `
http:
  listen: 0.0.0.0:443
tls: {cert: a.pem, key: b.pem}
turn:
  udp: ["0.0.0.0:3478", "[::]:3478"]
  tcp: ["192.0.2.1:3478"]
  relay_address: 192.0.2.1
  relay_ports: 50000-50100
signaling:
  heartbeat: 250ms
`)
	c, err := config.Load(file, []string{"signaling.open_rooms=true", "turn.allow_peers=[10.0.0.0/8, fd00::/8]", "signaling.heartbeat=2s", "log.level=debug"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.TURN.UDP; !reflect.DeepEqual(got, []string{"0.0.0.0:3478", "[::]:3478"}) {
		t.Errorf("turn.udp is %v: the file's list has to replace the default", got)
	}
	if got := c.TURN.AllowPeers; !reflect.DeepEqual(got, []string{"10.0.0.0/8", "fd00::/8"}) {
		t.Errorf("turn.allow_peers is %v", got)
	}
	if c.Signaling.Heartbeat != 2*time.Second {
		t.Errorf("signaling.heartbeat is %v: an option has to override the file", c.Signaling.Heartbeat)
	}
	if !c.OpenRooms() || c.Loopback() {
		t.Errorf("open rooms %v and loopback %v, want true and false", c.OpenRooms(), c.Loopback())
	}
	if got := c.TURNTLS(); !reflect.DeepEqual(got, []string{"192.0.2.1:5349"}) {
		t.Errorf("turns: listeners %v, want port 5349 of turn.tcp", got)
	}
	if first, last := c.RelayPortRange(); first != 50000 || last != 50100 {
		t.Errorf("relay ports %d to %d", first, last)
	}
}

func TestRoomsNeedTokensElsewhere(t *testing.T) {
	c, err := config.Load("", []string{"http.listen=192.0.2.1:8080"})
	if err != nil {
		t.Fatal(err)
	}
	if c.OpenRooms() {
		t.Error("rooms are open on another host than loopback though nobody said so")
	}
	for url, private := range map[string]bool{"https://call.example.org": false, "http://localhost:9000": true} {
		c, err := config.Load("", []string{"http.public_url=" + url})
		if err != nil {
			t.Fatal(err)
		}
		if c.OpenRooms() != private || c.HTTPPrivate() != private {
			t.Errorf("behind a proxy as %s: open rooms %v, private %v, want %v", url, c.OpenRooms(), c.HTTPPrivate(), private)
		}
	}
}

func TestChanged(t *testing.T) {
	a, err := config.Load("", []string{"turn.secrets=[0123456789abcdef]", "turn.limits.allocations=7", "signaling.open_rooms=true", "log.level=warn"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := config.Changed(config.Default(), a), []string{"turn.secrets", "turn.limits.allocations", "signaling.open_rooms", "log.level"}; !reflect.DeepEqual(got, want) {
		t.Errorf("changed are %v, want %v", got, want)
	}
	b, err := config.Load("", []string{"turn.secrets=[0123456789abcdef]", "turn.limits.allocations=7", "signaling.open_rooms=true", "log.level=warn"})
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Changed(a, b); len(got) != 0 {
		t.Errorf("read twice, %v differ", got)
	}
}

func TestProblemsComeAllAtOnceWithARemedy(t *testing.T) {
	cases := []struct {
		name, file string
		options    []string
		want       []string
	}{
		{"unknown key", "turn: {updp: []}\nfoo: 1\n", nil, []string{
			"c.yaml:1 turn.updp: unknown key: did you mean turn.udp?",
			"c.yaml:2 foo: unknown key: the keys are http, admin"}},
		{"unknown option", "", []string{"clok=runtime"}, []string{"--set clok: unknown key: did you mean clock?"}},
		{"option without value", "", []string{"clock"}, []string{"--set clock: has no value"}},
		{"wrong types", "http: 3\nsignaling: {heartbeat: soon, open_rooms: perhaps}\n", nil, []string{
			"c.yaml:1 http: is a single value: give it keys: listen",
			`c.yaml:2 signaling.heartbeat: "soon" does not fit: give a duration`,
			`c.yaml:2 signaling.open_rooms: "perhaps" does not fit: give true or false`}},
		{"not YAML", "a: [", nil, []string{"c.yaml:1: is not YAML"}},
		{"bad CIDR", "", []string{"turn.deny_peers=[10.0.0.0/99]", "turn.allow_peers=[here]"}, []string{
			`turn.deny_peers: "10.0.0.0/99" is no CIDR prefix: write ADDRESS/BITS`,
			`turn.allow_peers: "here" is no CIDR prefix`}},
		{"bad listeners", "", []string{"http.listen=8080", "turn.udp=[example.org:3478]"}, []string{
			`http.listen: "8080" is no listen address: write IP:PORT`,
			`turn.udp: "example.org:3478" is no listen address`}},
		{"agents without UDP", "", []string{"agents.listen=", "agents.tcp=127.0.0.1:0"}, []string{"agents.tcp: there are no agents without agents.listen"}},
		{"agents' TCP elsewhere", "", []string{"limits=off", "agents.tcp=0.0.0.0:9"}, []string{"limits: off while a listener is not on loopback"}},
		{"agents' TCP by name", "", []string{"agents.tcp=localhost:9"}, []string{`agents.tcp: "localhost:9" is no listen address`}},
		{"limits off in public", "", []string{"limits=off", "http.listen=0.0.0.0:80"}, []string{"limits: off while a listener is not on loopback"}},
		{"relay of one machine", "", []string{"turn.udp=[0.0.0.0:3478]"}, []string{"turn.relay_address: 127.0.0.1 reaches nobody while TURN listens on 0.0.0.0:3478"}},
		{"half a certificate", "", []string{"tls.cert=a.pem"}, []string{"tls: only one of tls.cert and tls.key is set"}},
		{"turns without certificate", "", []string{"turn.tls=[127.0.0.1:5349]"}, []string{"turn.tls: needs a certificate"}},
		{"enumerations", "", []string{"clock=sundial", "limits=some", "log.level=loud", "log.format=xml"}, []string{
			`clock: "sundial" is unknown: choose hrtimer or runtime`, `limits: "some"`, `log.level: "loud"`, `log.format: "xml"`}},
		{"bounds", "", []string{"signaling.heartbeat=6s", "turn.realm=a-very-long-realm", "turn.relay_ports=9-1", "turn.credential_ttl=1s"}, []string{
			"signaling.heartbeat: 6s is out of bounds", "turn.realm:", "turn.relay_ports:", "turn.credential_ttl:"}},
		{"web origins", "", []string{"http.public_url=call.example.org", "http.origins=[https://a.example/path]"}, []string{"http.public_url:", "http.origins:"}},
		{"secrets", "turn: {secrets: [short-one], api_keys: [tiny-key], users: {phone: ''}}\n", nil, []string{
			"turn.secrets: entry 1 has 9 characters: use at least 16", "turn.api_keys: entry 1 has 8 characters", `turn.users: "phone" lacks`}},
		{"a secret of the wrong type", "turn: {secrets: short-one}\n", nil, []string{"c.yaml:1 turn.secrets: the value does not fit: give a list"}},
		{"families", "", []string{"turn.relay_address6=10.0.0.1", "turn.stun_servers=[stun.example.org]"}, []string{
			"turn.relay_address6: is no IPv6 address", `turn.stun_servers: "stun.example.org" is no server`}},
		{"TURN's host", "turn: {host: 'turn.example.org:3478'}\n", nil, []string{`turn.host: "turn.example.org:3478" is neither a host name nor an IP address: write the name`}},
		{"TURN's host as half an address", "", []string{"turn.host=10.0.0"}, []string{"turn.host: "}},
		{"TURN's host as a wildcard", "", []string{"turn.host=0.0.0.0"}, []string{"turn.host: "}},
		{"limits", "", []string{"turn.limits.allocations_per_user=0", "turn.limits.bytes_per_second=-2", "turn.drain=1m"}, []string{
			"turn.limits.allocations_per_user: 0 is no limit", "turn.limits.bytes_per_second: -2 is no limit", "turn.drain: 1m0s is out of bounds"}},
		{"a limit that is no number", "", []string{"turn.limits.allocations=many"}, []string{`turn.limits.allocations: "many" does not fit: give a whole number`}},
		{"agents", "", []string{"agents.enabled=perhaps", "agents.calls=0", "agents.calls_per_address=-1", "agents.lifetime=1s", "agents.idle=1s",
			"agents.bytes=10", "agents.messages_per_second=0", "agents.check_interval=1s", "agents.checks_per_second=1", "agents.announce=[here]"}, []string{
			`agents.enabled: "perhaps" does not fit: give true or false`, "agents.calls: 0 is out of bounds: choose 1 to 10000",
			"agents.calls_per_address: -1 is out of bounds", "agents.lifetime: 1s is out of bounds: choose 1m0s to 24h0m0s", "agents.idle: 1s",
			"agents.bytes: 10 is out of bounds: choose 65536 or more", "agents.messages_per_second: 0", "agents.check_interval: 1s", "agents.checks_per_second: 1",
			`agents.announce: "here" is no IP address`}},
		{"agents' limits of other types", "agents: {calls: many, lifetime: 3, chekcs: 1}\n", nil, []string{
			`c.yaml:1 agents.calls: "many" does not fit: give a whole number`, `c.yaml:1 agents.lifetime: "3" does not fit: give a duration`,
			"c.yaml:1 agents.chekcs: unknown key"}},
		{"DTLS without certificate", "", []string{"turn.dtls=[127.0.0.1:5349]"}, []string{"turn.dtls: needs a certificate"}},
		{"no such file", "-", nil, []string{"cannot be read: no such file"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := ""
			if c.file == "-" {
				file = filepath.Join(t.TempDir(), "missing.yaml")
			} else if c.file != "" {
				file = write(t, c.file)
			}
			_, err := config.Load(file, c.options)
			var problems *config.Error
			if !errors.As(err, &problems) {
				t.Fatalf("error %v, want a config.Error", err)
			}
			if len(problems.Problems) != len(c.want) {
				t.Errorf("%d problems, want %d:\n%v", len(problems.Problems), len(c.want), err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("nothing says %q:\n%v", want, err)
				}
			}
			for _, secret := range []string{"short-one", "tiny-key"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is shown:\n%v", err)
				}
			}
			for _, p := range problems.Problems {
				if p.Remedy == "" {
					t.Errorf("%v has no remedy", p)
				}
			}
		})
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// FuzzLoad feeds arbitrary files: whatever comes, Load returns a value or a config.Error and does not panic.
func FuzzLoad(f *testing.F) {
	f.Add("http: {listen: 127.0.0.1:1}\n")
	f.Add("? [a]\n: b\n&x x: *x\n")
	f.Add("<<: {http: 1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var problems *config.Error
		if _, err := config.Load(file, nil); err != nil && !errors.As(err, &problems) {
			t.Errorf("error %v is no config.Error", err)
		}
	})
}

func TestSecretsAreHidden(t *testing.T) {
	c, err := config.Load("", []string{"turn.secrets=[0123456789abcdef]", "turn.users={phone: its-own-password}", "turn.api_keys=[fedcba9876543210]"})
	if err != nil {
		t.Fatal(err)
	}
	if c.TURN.Secrets[0] != "0123456789abcdef" || c.TURN.Users["phone"] != "its-own-password" {
		t.Fatal("the secrets did not arrive")
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(encoded)} {
		for _, secret := range []string{"0123456789abcdef", "its-own-password", "fedcba9876543210"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}

func TestSignalingBounds(t *testing.T) {
	for _, good := range []string{
		"signaling.heartbeat_native=1ms", "signaling.seat_hold=0s", "signaling.room_peers=2", "signaling.token_peers=1",
		"turn.realm=123", "signaling.messages_per_second=2.5", "signaling.invite_ttl=720h",
	} {
		if _, err := config.Load("", []string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"signaling.heartbeat_native=0s", "signaling.heartbeat_min=6s", "signaling.seat_hold=6m", "signaling.session_ttl=1s",
		"signaling.drain=1m", "signaling.room_peers=0", "signaling.token_peers=-1", "signaling.messages_per_second=0",
		"signaling.invite_ttl=721h", "signaling.room_peers=many",
	} {
		key, _, _ := strings.Cut(bad, "=")
		if _, err := config.Load("", []string{bad}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
