package relay

import "unsafe"

// tailWord puts the two halves of the word together in which the ring of buffers keeps the first one's id and its tail,
// in the order in which they lie in memory.
//
//go:nosplit
//go:norace
func tailWord(id, tail uint16) uint32 {
	halves := [2]uint16{id, tail}
	return *(*uint32)(unsafe.Pointer(&halves))
}
