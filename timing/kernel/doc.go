// Package kernel is for threads that stay in the Linux kernel and out of the Go runtime: it sets io_uring instances up and
// maps them, brackets a thread's stay without a Go processor, and has a thread get the CPU soon. What is submitted, and what such a thread does, is its
// users' business (the wire tier of package timing, the loops of turn/relay). Elsewhere than on Linux it is empty.
//
// Constants and structures are those of <linux/io_uring.h>; they are part of the kernel's interface and the same on every
// architecture. Addresses are held as numbers: what they point to is memory that the Go runtime does not know, or that
// its user keeps alive and in place.
package kernel
