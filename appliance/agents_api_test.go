package appliance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// adminDescription is what of openapi-admin.yaml is held against the code.
type adminDescription struct {
	Paths      map[string]map[string]operation `yaml:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func describeAdmin(t *testing.T) (d adminDescription) {
	t.Helper()
	if err := yaml.Load(openAPIAdmin, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAdminDescriptionMatchesTheRoutes(t *testing.T) {
	d, registered := describeAdmin(t), (&appliance{}).adminRoutes()
	for route := range registered {
		method, path, _ := strings.Cut(route, " ")
		if o := d.Paths[path][strings.ToLower(method)]; o.Summary == "" || len(o.Responses) == 0 {
			t.Errorf("openapi-admin.yaml says neither what %s is for nor what it answers", route)
		}
	}
	for path, methods := range d.Paths {
		for method := range methods {
			if registered[strings.ToUpper(method)+" "+path] == nil {
				t.Errorf("openapi-admin.yaml describes %s %s, which is not there", method, path)
			}
		}
	}
}

// TestAdminSchemasAreTheStructs holds each described object to the fields of its struct.
func TestAdminSchemasAreTheStructs(t *testing.T) {
	d := describeAdmin(t)
	structs := map[string]any{
		"Agents": shownAgents{}, "Pacing": shownPacing{}, "Kept": shownKept{}, "Call": shownCall{}, "Pair": shownPair{},
		"Path": shownPath{}, "Side": shownSide{}, "PathEntry": shownPathEntry{},
		"Consent": shownConsent{}, "Entry": shownEntry{},
	}
	if len(structs) != len(d.Components.Schemas) {
		t.Errorf("%d schemas, %d structs", len(d.Components.Schemas), len(structs))
	}
	for name, s := range structs {
		var fields, described []string
		for i := range reflect.TypeOf(s).NumField() {
			field, _, _ := strings.Cut(reflect.TypeOf(s).Field(i).Tag.Get("json"), ",")
			fields = append(fields, field)
		}
		for property := range d.Components.Schemas[name].Properties {
			described = append(described, property)
		}
		slices.Sort(fields)
		slices.Sort(described)
		if !slices.Equal(fields, described) {
			t.Errorf("%s has %v, is described with %v", name, fields, described)
		}
	}
}

// TestShowCall has every field of a call arrive.
func TestShowCall(t *testing.T) {
	at := wallClock{time.UnixMilli(1_000_000), timing.Instant(10 * time.Second)}
	before := func(d time.Duration) timing.Instant { return at.instant.Add(-d) }
	c := agent.CallStatus{
		Caller: agent.Caller{Room: "demo", Peer: "p", Address: netip.MustParseAddr("192.0.2.1")},
		Began:  before(5 * time.Second), State: orchestrate.Connected, Route: orchestrate.RelayUDP,
		Phases:   map[orchestrate.State]time.Duration{orchestrate.Checking: time.Millisecond},
		Timeline: []orchestrate.Entry{{State: orchestrate.Checking, At: before(4 * time.Second), Route: orchestrate.Direct}},
		Pair:     agent.Pair{Local: netip.MustParseAddrPort("192.0.2.2:4"), Remote: netip.MustParseAddrPort("192.0.2.1:5"), LocalType: "host", RemoteType: "prflx"},
		Path: link.Status{
			Consent: consent.Granted, Renewed: before(time.Second),
			Quality: consent.Quality{RTT: timing.RTT{Smoothed: 3 * time.Millisecond, Variation: 2 * time.Millisecond, Jitter: time.Millisecond}, Checks: 7, Answers: 6},
			Pacing:  pacing.Counts{Sent: 4, Dropped: 3, Replaced: 2, Ended: 1, Waited: 8 * time.Millisecond, Longest: 5 * time.Millisecond},
		},
		Bytes: 11, Dropped: 12, PassedOver: 13,
	}
	got, err := json.Marshal(showCall(c, at, 50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"room":"demo","peer":"p","address":"192.0.2.1","state":"connected","route":"relay/udp","since_ms":995000,"age_us":5000000,` +
		`"pair":{"local":"192.0.2.2:4","local_type":"host","remote":"192.0.2.1:5","remote_type":"prflx"},` +
		`"consent":{"state":"granted","renewed_ms":999000,"checks":7,"answers":6,"rtt_us":3000,"rttvar_us":2000,"jitter_us":1000},` +
		`"pacing":{"sent":4,"dropped":3,"replaced":2,"queue_mean_us":2000,"queue_longest_us":5000,"ended_before_turn":1,"target_interval_us":50000},` +
		`"bytes":11,"dropped_messages":12,"candidates_passed_over":13,"phases_us":{"checking":1000},` +
		`"timeline":[{"state":"checking","route":"direct","at_ms":996000}]}`
	if string(got) != want {
		t.Errorf("shown is\n%s\nwant\n%s", got, want)
	}
}

// TestNoAgentsAreShown answers in the same shape where agents are off.
func TestNoAgentsAreShown(t *testing.T) {
	answer := httptest.NewRecorder()
	(&appliance{}).serveAgents(answer, httptest.NewRequest(http.MethodGet, "/api/agents", nil))
	if body := answer.Body.String(); !strings.HasPrefix(body, `{"enabled":false,"addresses":[],`) || !strings.Contains(body, `"calls":[]`) {
		t.Errorf("%s", body)
	}
}
