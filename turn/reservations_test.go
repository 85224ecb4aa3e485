package turn_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// TestReservedPortsAreShared has users reserve ports and release their allocations, whose ports stay reserved: each user
// comes to a limit (486), and all together to the server's (508).
func TestReservedPortsAreShared(t *testing.T) {
	const perUser, all = 3, 64
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, Clock: clock,
		Limits: turn.Limits{AllocationsPerUser: perUser, ChallengesPerSecond: turn.Unlimited},
	})
	reserve := func(user string) int {
		username, password := issued(user, time.Now())
		c := newRawClient(t, server, username, password)
		code := errorCode(t, c.allocate(attr(stun.AttrEvenPort, 0x80)))
		if code == 0 {
			c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
		}
		return code
	}
	for i := range all {
		if code := reserve(fmt.Sprint("user ", i/perUser)); code != 0 {
			t.Fatalf("reservation %d was answered %d", i, code)
		}
	}
	if code := reserve("user 0"); code != 486 {
		t.Errorf("one too many for a user was answered %d", code)
	}
	if code := reserve("a late one"); code != 508 {
		t.Errorf("one too many for the server was answered %d", code)
	}
	refused := server.Stats().QuotaRefusals
	if len(refused) != 2 || refused["user-reserved-ports"] != 1 || refused["reserved-ports"] != 1 {
		t.Errorf("refused %v", refused)
	}
	clock.Advance(31 * time.Second)
	for i := range perUser {
		if code := reserve("user 0"); code != 0 {
			t.Errorf("reservation %d after the others have lapsed was answered %d", i, code)
		}
	}
}
