package turn

import (
	"math/rand/v2"
	"testing"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
)

// TestMutatedRequests serves requests with a good credential and attributes at random, some bent behind the signature:
// no panic, and every answer is a message. An Allocate is refused for its 5-tuple.
func TestMutatedRequests(t *testing.T) {
	const user = "4102444800:a"
	key := stun.MessageIntegrity(longTermKey(user, DefaultRealm, password([]byte("s"), user)))
	random := rand.New(rand.NewPCG(3, 4))
	clock := timingtest.NewManual()
	c := limitedCore(t, clock, LimitsOff())
	to := &letters{}
	x := (&control{core: c, transport: UDP}).transactions(to)
	methods := []stun.Method{
		stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind, stun.MethodConnect,
		stun.MethodConnectionBind, stun.MethodSend, stun.MethodBinding,
	}
	kinds := []stun.AttrType{
		stun.AttrXORPeerAddress, stun.AttrChannelNumber, stun.AttrLifetime, stun.AttrData, stun.AttrRequestedTransport,
		stun.AttrRequestedAddressFamily, stun.AttrEvenPort, stun.AttrReservationToken, stun.AttrDontFragment, 0x7abc, 0x8abc,
	}
	classes := []stun.MessageClass{stun.ClassRequest, stun.ClassIndication, stun.ClassSuccessResponse}
	codes := make(map[stun.ErrorCode]int)
	for range 5_000 {
		if c.allocations.count() == 0 { // A Refresh may have ended it.
			testEntry(t, c, 1, "a")
		}
		m := stun.New()
		m.TransactionID = stun.NewTransactionID()
		m.Type = stun.NewType(methods[random.IntN(len(methods))], classes[random.IntN(len(classes))])
		m.WriteHeader()
		for range random.IntN(6) {
			value := make([]byte, []int{0, 1, 4, 4, 8, 8, 20, random.IntN(40)}[random.IntN(8)])
			for i := range value {
				value[i] = byte(random.IntN(256))
			}
			if len(value) > 1 {
				value[0], value[1] = []byte{17, 0x40, 0, value[0]}[random.IntN(4)], byte(random.IntN(3))
			}
			m.Add(kinds[random.IntN(len(kinds))], value)
		}
		if random.IntN(5) > 0 {
			nonce := c.nonces.at(clock.Now(), client(1, "192.0.2.1").client)
			for _, s := range []stun.Setter{
				stun.NewUsername(user), stun.NewRealm(DefaultRealm), stun.Nonce(nonce[:]), key,
			} {
				if err := s.AddTo(m); err != nil {
					t.Fatal(err)
				}
			}
		}
		if random.IntN(4) == 0 {
			m.Raw[random.IntN(len(m.Raw))] ^= 1 << random.IntN(8)
		}
		to.sent = to.sent[:0]
		x.take(m.Raw, tuple{client: client(1, "192.0.2.1").client})
		if n := c.counters.panics.Load(); n != 0 {
			t.Fatalf("%x: a panic", m.Raw)
		}
		for _, p := range to.sent {
			answer := stun.New()
			var code stun.ErrorCodeAttribute
			if err := stun.Decode(p, answer); err != nil {
				t.Fatalf("%x is answered %x: %v", m.Raw, p, err)
			}
			_ = code.GetFrom(answer)
			codes[code.Code]++
		}
	}
	for _, code := range []stun.ErrorCode{0, 400, 401, 403, 420, 437, 438, 443} {
		if codes[code] == 0 {
			t.Errorf("no answer had code %d; the test does not reach what it means to: %v", code, codes)
		}
	}
}
