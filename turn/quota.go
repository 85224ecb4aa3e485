package turn

import (
	"net/netip"
	"time"

	"tourbillon/timing"
)

// reservationLife is how long an Allocate that passed the quota may take to become an allocation. One that failed gives
// its place back at once; what panicked in between is reclaimed.
const reservationLife = 30 * time.Second

// quota counts allocations, and the reservations that may become one, per user, per source address and in total. It
// is pure and has no lock; the allocation table owns it.
type quota struct {
	perUser, perSource, total int

	users   map[string]int
	sources map[netip.Prefix]int
	held    map[clientKey]holding
	pending map[clientKey]timing.Instant // when the reservation lapses; each key is also in held
}

// holding is who an allocation or reservation counts for.
type holding struct {
	user   string
	source netip.Prefix
}

func newQuota(l Limits) *quota {
	return &quota{
		perUser: l.AllocationsPerUser, perSource: l.AllocationsPerSource, total: l.Allocations,
		users:   make(map[string]int),
		sources: make(map[netip.Prefix]int),
		held:    make(map[clientKey]holding),
		pending: make(map[clientKey]timing.Instant),
	}
}

// Reasons for refusing an allocation.
const (
	reasonUserQuota   Reason = "user-quota"
	reasonSourceQuota Reason = "source-quota"
	reasonTotalQuota  Reason = "total-quota"
	reasonDraining    Reason = "draining"
)

// reserve admits one Allocate, until confirm, release or its lapse, or says which quota is reached. A repeated Allocate
// of one client replaces its reservation.
func (q *quota) reserve(key clientKey, user string, now timing.Instant) (reached Reason) {
	q.reclaim(now)
	if _, ok := q.pending[key]; ok {
		q.release(key)
	}
	h := holding{user: user, source: sourceGroup(key.client.Addr())}
	switch {
	case reaches(len(q.held), q.total):
		return reasonTotalQuota
	case reaches(q.users[user], q.perUser):
		return reasonUserQuota
	case reaches(q.sources[h.source], q.perSource):
		return reasonSourceQuota
	}
	q.hold(key, h)
	q.pending[key] = now.Add(reservationLife)
	return ""
}

// confirm turns a reservation into an allocation. An allocation whose reservation has lapsed is counted all the same:
// it exists.
func (q *quota) confirm(key clientKey, user string) {
	if _, ok := q.pending[key]; ok {
		delete(q.pending, key)
		return
	}
	if _, ok := q.held[key]; !ok {
		q.hold(key, holding{user: user, source: sourceGroup(key.client.Addr())})
	}
}

// release gives back what a client holds. It does nothing for one that holds nothing.
func (q *quota) release(key clientKey) {
	h, ok := q.held[key]
	if !ok {
		return
	}
	delete(q.held, key)
	delete(q.pending, key)
	decrement(q.users, h.user)
	decrement(q.sources, h.source)
}

func (q *quota) hold(key clientKey, h holding) {
	q.release(key)
	q.held[key] = h
	q.users[h.user]++
	q.sources[h.source]++
}

func (q *quota) reclaim(now timing.Instant) {
	for key, lapses := range q.pending {
		if lapses <= now {
			q.release(key)
		}
	}
}

func reaches(count, limit int) bool { return limit != Unlimited && count >= limit }

// decrement removes keys that reach zero, so that the maps hold live users and sources only.
func decrement[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}
