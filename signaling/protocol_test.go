package signaling

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docExamples returns the protocol's example messages out of the package comment: "→" or "←", the JSON text, and the
// words behind it.
func docExamples(t *testing.T) [][3]string {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\n//\t {2,}`).ReplaceAllString(string(source), " ")
	var examples [][3]string
	for _, line := range regexp.MustCompile(`(?m)^//\t(→|←) (.*)$`).FindAllStringSubmatch(joined, -1) {
		d := json.NewDecoder(strings.NewReader(line[2]))
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			t.Fatalf("%s: %v", line[0], err)
		}
		examples = append(examples, [3]string{line[1], string(text), strings.TrimSpace(line[2][d.InputOffset():])})
	}
	return examples
}

func TestDocumentedMessagesAreTheWireTypes(t *testing.T) {
	examples := docExamples(t)
	seen := map[string]bool{}
	for _, example := range examples {
		seen[example[0]+object(example[1])["type"].(string)] = true
		if example[0] == "→" {
			checkInbound(t, example[1])
			continue
		}
		checkOutbound(t, example[1])
	}
	for _, kind := range typeConstants(t) {
		if !seen["→"+kind] && !seen["←"+kind] {
			t.Errorf("the package comment has no example of %q", kind)
		}
	}
}

// typeConstants returns the message types that message.go declares.
func typeConstants(t *testing.T) (kinds []string) {
	t.Helper()
	source, err := os.ReadFile("message.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\ttype\w+ += "([a-z-]+)"$`).FindAllStringSubmatch(string(source), -1) {
		kinds = append(kinds, m[1])
	}
	if len(kinds) < 20 {
		t.Fatalf("found the message types %v only", kinds)
	}
	return kinds
}

// checkInbound wants a client's message decoded with every field that it shows.
func checkInbound(t *testing.T, text string) {
	t.Helper()
	m, refusal := decode([]byte(text), Limits{}.withDefaults())
	if refusal != nil {
		t.Errorf("%s: %v", text, refusal)
	}
	for field, want := range object(text) {
		if got := object(string(encode(m)))[field]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q decoded as %v", text, field, got)
		}
	}
}

// checkOutbound wants a server's message to be what the wire type of that name encodes to.
func checkOutbound(t *testing.T, text string) {
	t.Helper()
	wire := map[string]any{
		typeWelcome: &welcomeMessage{}, typeJoined: &joinedMessage{}, typeResumed: &resumedMessage{},
		typePeerJoined: &peerJoinedMessage{}, typePeerLeft: &peerLeftMessage{}, typePeerAway: &peerAwayMessage{},
		typePeerBack: &peerBackMessage{}, typePeerUpdated: &peerUpdatedMessage{},
		typeOffer: &relayMessage{}, typeAnswer: &relayMessage{}, typeCandidate: &relayMessage{},
		typeRestart: &relayMessage{}, typeMessage: &relayMessage{}, typeICEServers: &iceServersMessage{},
		typePath: &pathMessage{}, typeHeartbeat: &heartbeatMessage{}, typePing: &pingMessage{}, typeBye: &byeMessage{}, typeError: &errorMessage{},
	}[object(text)["type"].(string)]
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(wire); err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	if got := string(encode(wire)); !reflect.DeepEqual(object(got), object(text)) {
		t.Errorf("documented %s\nencoded    %s", text, got)
	}
}

func TestDocumentedCodesAndReasons(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?s)// Codes: (.*?)\.\n`).FindStringSubmatch(string(source))
	documented := strings.Split(strings.Join(strings.Fields(strings.ReplaceAll(list[1], "//", "")), ""), ",")
	want := []string{}
	for _, refusal := range everyError() {
		want = append(want, string(refusal.Code))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	slices.Sort(documented)
	if !slices.Equal(documented, want) {
		t.Errorf("documented codes %v, in use %v", documented, want)
	}
	reasons := "left · closed · timeout · replaced · slow · shutdown"
	if !slices.ContainsFunc(docExamples(t), func(e [3]string) bool { return e[2] == reasons }) {
		t.Errorf("no example lists the reasons %s", reasons)
	}
}

// everyError returns one of each refusal, with hostile text where the client's own is repeated.
func everyError() []*Error {
	hostile := "\x1b[31m\u202e\x00<script>" + long(1000)
	return []*Error{
		errBadMessage("no JSON object", "send one"), errTooLarge(2, 1), errFieldTooLarge("sdp", 2, 1),
		errUnknownType(hostile), errNotJoined(), errAlreadyJoined(), errBadRoom(hostile), errBadToken("expired"),
		errTokenRequired(), errRoomFull(64), errUnknownPeer(hostile), errTooFast(20, 60), errReportsTooFast(), errLocal(CodeCallRefused, os.ErrClosed), errLocal(CodeCallEnded, os.ErrClosed), errJoinsTooFast(5),
		errCandidates(100), errSlowConsumer(), errJoinTimeout(), errTokenFull(1), errNotAllowed(CanPublish),
		errBadSession(), errSessionUsed(), errSessionGone(), errReplayLost(), errDraining(),
	}
}

func TestErrorsRepeatLittleAndOnlyPrintable(t *testing.T) {
	for _, refusal := range everyError() {
		if refusal.Remedy == "" || refusal.Message == "" {
			t.Errorf("%s: no message or no remedy", refusal.Code)
		}
		if strings.Count(refusal.Message, "x") > quoteRunes || strings.ContainsAny(refusal.Message, "\x1b\x00\u202e") {
			t.Errorf("%s: message %q repeats too much", refusal.Code, refusal.Message)
		}
	}
}
