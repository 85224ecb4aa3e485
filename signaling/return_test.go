package signaling

import (
	"fmt"
	"testing"
)

// TestAnOfficeComesBackAtOnce restarts the server of many clients behind one address.
func TestAnOfficeComesBackAtOnce(t *testing.T) {
	const clients = 90
	config := Config{SessionKey: []byte("kept"), Limits: Limits{JoinsPerSecond: 1e6, RoomPeers: clients}}
	before := newBench(t, config)
	var sessions []any
	for range clients {
		c, _, joined := before.enter("demo")
		sessions = append(sessions, joined["session"])
		before.end(c)
	}
	config.Limits.JoinsPerSecond = 0 // The default, 5 and twice that at once.
	after := newBench(t, config)
	for i, session := range sessions {
		c, sock, answer := after.resume(session, 0)
		if answer["code"] != string(CodeSessionGone) {
			t.Fatalf("client %d: got %v", i, answer)
		}
		c.receive(fmt.Appendf(nil, `{"type":"join","room":"demo","session":%q}`, session), true)
		sock.message(t, typeJoined)
	}
	// They have used nine of ten joins; a stranger counts in full, whatever session it makes up.
	for i, want := range []string{typeJoined, typeError} {
		c, sock := after.open()
		c.receive([]byte(`{"type":"join","room":"other","session":"made up"}`), true)
		if m := sock.message(t, want); want == typeError && m["code"] != string(CodeRateLimited) {
			t.Errorf("stranger %d got %v", i, m)
		}
	}
}
