package turn

import (
	"testing"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
)

// broken is a way back that panics.
type broken struct {
	letters
	replies int
}

func (b *broken) reply([]byte, tuple) {
	b.replies++
	panic("no way back")
}

// TestPanicInTheAnswer: what panics as a request is served panics again when the panic is answered. Both are counted, and
// the next packet is served.
func TestPanicInTheAnswer(t *testing.T) {
	c := limitedCore(t, timingtest.NewManual(), LimitsOff())
	to := &broken{}
	x := (&control{core: c, transport: UDP}).transactions(to)
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	for served := 1; served <= 2; served++ {
		x.take(request, tuple{client: client(1, "192.0.2.1").client})
		if n := c.counters.panics.Load(); n != uint64(2*served) || to.replies != 2*served {
			t.Errorf("after %d packets %d panics are counted, and %d answers were tried", served, n, to.replies)
		}
	}
}
