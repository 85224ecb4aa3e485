package relay

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// refusing is a loop of which the kernel takes nothing (its ring is no descriptor), with the eventfd, a listener, a relay
// and a stream.
func refusing(t *testing.T) *memory {
	t.Helper()
	m, _ := testStreaming(t)
	m.loop.kickFD, m.loop.top = 99, kickSocket+1
	m.sockets[kickSocket] = socket{fd: 99, kind: kindKick, state: stateOpen, started: true}
	m.armReceive(kickSocket)
	for _, index := range []uint32{testListener, testRelay, testStream} {
		m.addSocket(index)
	}
	return m
}

// asked are the requests that wait to be submitted, by operation and descriptor.
func (m *memory) asked() (all [][2]int32) {
	for i := m.loop.submitted; i != m.loop.pushed; i++ {
		e := &m.loop.sqes[i%sqEntries]
		all = append(all, [2]int32{int32(e.Opcode), e.FD})
	}
	return all
}

// expectAsked expects requests to be submitted next.
func expectAsked(t *testing.T, m *memory, when string, want ...[2]int32) {
	t.Helper()
	if got := m.asked(); !slices.Equal(got, want) {
		t.Errorf("%s: %v is asked of the kernel, want %v", when, got, want)
	}
}

// TestRefusedReceives has the kernel refuse to receive for many rounds, and then take it: nothing stays deaf.
func TestRefusedReceives(t *testing.T) {
	m := refusing(t)
	all := [][2]int32{{int32(kernel.OpPollAdd), 99}, {int32(kernel.OpRecvmsg), 100}, {int32(kernel.OpRecvmsg), 101}}
	expectAsked(t, m, "at first", all...)
	for range 3 {
		if m.ringRound(); m.loop.pushed != m.loop.submitted || !m.loop.unarmed {
			t.Fatal("the kernel has taken something")
		}
	}
	m.rearm()
	expectAsked(t, m, "after it was refused", all...)
	m.loop.submitted = m.loop.pushed // Taken.
	m.sockets[4] = socket{fd: 102, kind: kindRelay, state: stateOpen}
	m.loop.top = 5 // Go enters it, and has not given the command yet.
	m.rearm()
	expectAsked(t, m, "when all are received on")
	if n := m.loop.counters.SocketFull; n != 0 {
		t.Errorf("%d packets lost", n)
	}
}

// TestRefusedCancels ends sockets while the kernel takes nothing.
func TestRefusedCancels(t *testing.T) {
	m := refusing(t)
	m.loop.submitted = m.loop.pushed // Taken.
	m.sockets[testStream].reading = true
	cancels := [][2]int32{{int32(kernel.OpAsyncCancel), -1}, {int32(kernel.OpAsyncCancel), -1}}
	m.removeSocket(testListener)
	m.removeStream(testStream)
	expectAsked(t, m, "at the end", cancels...)
	m.ringRound()
	m.rearm()
	expectAsked(t, m, "after it was refused", cancels...)
	m.loop.submitted = m.loop.pushed // Taken: what was cancelled completes.
	m.completeReceive(&kernel.CQE{Res: -int32(unix.ECANCELED)}, testListener, &m.sockets[testListener])
	m.readFromStream(&kernel.CQE{Res: -int32(unix.ECANCELED)}, testStream, &m.sockets[testStream])
	if m.loop.freed != 2 || m.letGo[0] != testListener || m.letGo[1] != testStream {
		t.Errorf("the loop has let go of %d sockets: %v", m.loop.freed, m.letGo[:2])
	}
}

// TestRefusedToTheEnd ends a relay that the kernel has not begun to receive on.
func TestRefusedToTheEnd(t *testing.T) {
	m := refusing(t)
	m.removeSocket(testRelay)
	m.ringRound()
	m.rearm()
	if m.loop.freed != 1 || m.letGo[0] != testRelay {
		t.Errorf("the loop has let go of %d sockets", m.loop.freed)
	}
	m.completeSend(&kernel.CQE{UserData: ignored, Res: -int32(unix.ENOENT)})
	if n := m.loop.counters.SocketFull; n != 0 {
		t.Errorf("%d packets lost by a cancel that came too late", n)
	}
}
