package kernel

import (
	_ "unsafe" // For go:linkname.
)

// EnterSyscall and ExitSyscall are the runtime's brackets around a system call that may block. The runtime lists both
// among the names that others link to and that therefore stay.
//
// A goroutine that returns from a system call must get a Go processor before it runs on, which takes up to hundreds of
// milliseconds where goroutines are busy. A thread between the brackets never asks for one: it is, as far as the
// scheduler can tell, in one long system call. There it must not allocate, grow its stack, touch a pointer to the heap,
// be instrumented for races, or call anything but raw system calls and functions that keep to the same. Both are called
// by one function, whose frame lives in between, on a locked thread.
//
//go:linkname EnterSyscall runtime.entersyscall
func EnterSyscall()

// ExitSyscall is described at EnterSyscall.
//
//go:linkname ExitSyscall runtime.exitsyscall
func ExitSyscall()
