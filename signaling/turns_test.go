package signaling

import (
	"fmt"
	"sync"
	"testing"

	"tourbillon/signaling/socket"
)

// TestMessagesAreTakenAtOnce has many connections send at once: when Take returns, the message has been dealt with, so that
// its buffer can be used for the next.
func TestMessagesAreTakenAtOnce(t *testing.T) {
	const connections, messages = 200, 500 / raceFactor
	b := newBench(t, Config{Limits: Limits{Off: true}})
	var running sync.WaitGroup
	for i := range connections {
		c, _, _ := b.join(fmt.Sprintf("r%d", i))
		running.Go(func() {
			text := make([]byte, 0, 100)
			for n := range uint64(messages) {
				text = fmt.Appendf(text[:0], `{"type":"message","n":%d,"data":1}`, n+1)
				c.Take(socket.Message{Opcode: socket.OpText, Payload: text}, n%2 == 0)
				if got := c.mine.got.Load(); got != n+1 {
					t.Errorf("after message %d the server has seen %d", n+1, got)
					return
				}
			}
		})
	}
	running.Wait()
	if s := b.server.Stats(); s.Relayed != connections*messages || s.Errors != 0 {
		t.Errorf("stats %+v", s)
	}
}
