package turn

import (
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"time"

	"tourbillon/timing"
)

const (
	// reservationHeld is how long a port is kept for whoever brings its token (RFC 8656 7.2: at least 30 s).
	reservationHeld = 30 * time.Second
	// maxReservations bounds the ports that are kept at a time.
	maxReservations = 64
)

// token is the value of a RESERVATION-TOKEN.
type token [8]byte

// reservations are the ports next to those of relays with an even one, for RTCP without multiplexing (RFC 8656 7.2). A
// port is kept by a socket that nobody reads. It is safe for concurrent use.
type reservations struct {
	clock   timing.Clock
	perUser int // how many one user may have

	mu     sync.Mutex // guards what follows
	held   map[token]*reservation
	users  map[string]int // how many each has
	closed bool
}

// reservation is one port that is kept, for a user.
type reservation struct {
	socket *net.UDPConn
	end    *relayEnd
	port   uint16
	user   string
	timer  timing.Timer
}

// Reasons for keeping no port.
const (
	reasonUserPorts     Reason = "user-reserved-ports"
	reasonReservedPorts Reason = "reserved-ports"
)

// newReservations keeps at most perUser ports for each user; [Unlimited] is as many as there may be.
func newReservations(clock timing.Clock, perUser int) *reservations {
	return &reservations{clock: clock, perUser: perUser, held: make(map[token]*reservation), users: make(map[string]int)}
}

// keep binds a port for a user and returns its token. It reports false where the port is taken, or too many are kept.
func (r *reservations) keep(end *relayEnd, port uint16, user string) (t token, ok bool) {
	if r.full(user) != "" {
		return t, false
	}
	socket, err := net.ListenUDP(end.network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(end.bind, port)))
	if err != nil {
		return t, false
	}
	_, _ = rand.Read(t[:]) // It does not fail (crypto/rand).
	if ok = r.enter(t, &reservation{socket: socket, end: end, port: port, user: user}); !ok {
		_ = socket.Close() // Nothing was sent.
	}
	return t, ok
}

// enter has a port kept until its timer. It reports false where none is any more.
func (r *reservations) enter(t token, held *reservation) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.fullLocked(held.user) != "" {
		return false
	}
	held.timer = timing.Coarse(r.clock).AfterFunc(reservationHeld, func() { r.take(t, held.user) })
	r.held[t] = held
	r.users[held.user]++
	return true
}

// full says why no port is kept for a user; nothing, if empty.
func (r *reservations) full(user string) Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fullLocked(user)
}

func (r *reservations) fullLocked(user string) Reason {
	switch {
	case reaches(r.users[user], r.perUser):
		return reasonUserPorts
	case len(r.held) >= maxReservations:
		return reasonReservedPorts
	}
	return ""
}

// of tells what a user's token stands for, nil for nothing.
func (r *reservations) of(t token, user string) *reservation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held := r.held[t]; held != nil && held.user == user {
		return held
	}
	return nil
}

// take frees the port that a user's token stands for, and reports whether there was one.
func (r *reservations) take(t token, user string) bool {
	held := r.unlink(t, user)
	if held != nil {
		held.free()
	}
	return held != nil
}

func (r *reservations) unlink(t token, user string) *reservation {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held[t]
	if held == nil || held.user != user {
		return nil
	}
	delete(r.held, t)
	decrement(r.users, user)
	return held
}

// free closes the port of a reservation that is in no table any more. It does not block: the timer's callback is not
// waited for. No lock is held.
func (h *reservation) free() {
	h.timer.Stop()
	_ = h.socket.Close() // Nothing was sent.
}

// close frees all ports and keeps no more.
func (r *reservations) close() {
	r.mu.Lock()
	all := r.held
	r.held, r.users, r.closed = nil, nil, true
	r.mu.Unlock()
	for _, held := range all {
		held.free()
	}
}
