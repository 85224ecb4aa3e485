package peerjs

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

var testLimits = Limits{}.withDefaults()

func TestDecode(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	cases := map[string]struct{ text, wrong string }{
		"heartbeat":            {`{"type":"HEARTBEAT"}`, ""},
		"leave":                {`{"type":"LEAVE"}`, ""},
		"leave for one":        {`{"type":"LEAVE","dst":"bob"}`, ""},
		"offer":                {offer("bob"), ""},
		"foreign src":          {`{"type":"ANSWER","src":"eve","dst":"bob"}`, ""},
		"unknown fields":       {`{"type":"CANDIDATE","dst":"bob","x":[1,{}]}`, ""},
		"brackets in a string": {`{"type":"OFFER","dst":"bob","payload":"` + strings.Repeat("{", 100) + `\"["}`, ""},
		"no JSON":              {`hello`, "no valid message"},
		"cut off":              {`{"type":"OFFER"`, "no valid message"},
		"array":                {`[]`, "no valid message"},
		"number as dst":        {`{"type":"OFFER","dst":1}`, "no valid message"},
		"empty":                {``, "no valid message"},
		"no type":              {`{}`, "no type"},
		"null":                 {`null`, "no valid message"},
		"space everywhere":     {" {\n\"type\" : \"OFFER\" ,\t\"dst\" : \"bob\" , \"payload\" : [ 1 , {\"a\":\"}\"} ] } ", ""},
		"two objects":          {`{"type":"LEAVE"}{"type":"OPEN"}`, "no valid message"},
		"the last one counts":  {`{"type":"LEAVE","type":"OPEN"}`, "only the server"},
		"inner members":        {`{"payload":{"type":"OFFER","dst":"bob"}}`, "no type"},
		"escaped type":         {`{"type":"\u004fPEN"}`, "unknown type"},
		"no dst":               {`{"type":"OFFER"}`, "no valid dst"},
		"dst with a quote":     {`{"type":"OFFER","dst":"a\"b"}`, "no valid dst"},
		"long dst":             {offer(strings.Repeat("a", 65)), "no valid dst"},
		"server's type":        {`{"type":"EXPIRE","dst":"bob"}`, "only the server"},
		"deep":                 {deep, "nested"},
		"unknown":              {`{"type":"NEWER","dst":"bob"}`, "unknown type"},
	}
	for name, c := range cases {
		_, err := decode([]byte(c.text), testLimits)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "A-1": true, "my id_2": true, "f47ac10b-58cc-4372-a567-0e02b2c3d479": true,
		"": false, " a": false, "a ": false, "a--b": false, "-": false, "a\"": false, "ä": false, "a\n": false, "a.b": false,
	} {
		if validID(id, 64) != want {
			t.Errorf("%q: %v, want %v", id, !want, want)
		}
	}
	if validID("abc", 2) {
		t.Error("a long id passed")
	}
}

// TestExamplesAreMessages holds the package comment to the code.
func TestExamplesAreMessages(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for line := range strings.Lines(string(source)) {
		_, text, found := strings.Cut(line, "→ ")
		if !found {
			continue
		}
		text = text[:strings.LastIndex(text, "}")+1]
		m, err := decode([]byte(text), testLimits)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		sent[m.Type] = true
	}
	for _, kind := range []string{typeHeartbeat, typeOffer, typeAnswer, typeCandidate, typeLeave} {
		if !sent[kind] {
			t.Errorf("the package comment has no example of %s", kind)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{offer("bob"), `{"type":"LEAVE"}`, `{"type":"OFFER","dst":"a","payload":"\u0000"}`, `[[[`, `{"type":"X"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decode(text, testLimits)
		if err != nil {
			var wrong *MessageError
			if !errors.As(err, &wrong) && !errors.Is(err, errIgnored) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if m.Dst == "" {
			return
		}
		relayed := relayText(m.Type, "sender", m.Dst, m.Payload)
		var got struct {
			Type, Src, Dst string
			Payload        json.RawMessage
		}
		if err := json.Unmarshal(relayed, &got); err != nil || got.Src != "sender" || got.Dst != m.Dst || got.Type != m.Type {
			t.Fatalf("%q was relayed as %q: %v", text, relayed, err)
		}
		var want map[string]json.RawMessage // As encoding/json, an independent reader, sees the message.
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if _, plain := want["payload"]; plain && !bytes.Contains(text, []byte(`\u`)) && string(want["payload"]) != string(m.Payload) {
			t.Fatalf("payload %q, want %q", m.Payload, want["payload"])
		}
	})
}
