package turn

import "sync/atomic"

// dropReasons are all reasons for which a packet between client and peer is not passed on.
var dropReasons = [...]Reason{
	ReasonInvalid, ReasonPort, ReasonUnspecified, ReasonLoopback, ReasonLinkLocal, ReasonMetadata, ReasonMulticast,
	ReasonTunnel, ReasonPrivate, ReasonShared, ReasonDocumentation, ReasonReserved, ReasonNotGlobal, ReasonDenied,
	ReasonOwnHost, reasonNoPermission, reasonNoChannel, reasonTooLong, reasonSlowClient, reasonPacketRate, reasonBandwidth,
	reasonServer,
}

// dropIndex finds a reason's counter.
var dropIndex = func() map[Reason]int {
	index := make(map[Reason]int, len(dropReasons))
	for i, reason := range dropReasons {
		index[reason] = i
	}
	return index
}()

// drops counts packets that were not passed on, by reason, without a lock: a flood of them runs on every core.
type drops struct {
	counts [len(dropReasons)]atomic.Uint64
}

// add counts one packet. A reason outside the list is a mistake of ours; it counts as the first.
func (d *drops) add(reason Reason) { d.counts[dropIndex[reason]].Add(1) }

// read returns what is not zero.
func (d *drops) read() map[string]uint64 {
	counts := make(map[string]uint64)
	for i, reason := range dropReasons {
		if n := d.counts[i].Load(); n > 0 {
			counts[string(reason)] = n
		}
	}
	return counts
}
