// Package survive holds the end-to-end tests of calls that survive: an address that changes, an address translator that
// forgets, a server with its relay that is killed, and ten seconds of total loss.
//
// Each test makes network namespaces of its own, a router between the server and two clients, and runs every one of them
// as a process inside its namespace (world_test.go). The clients are pion's, over package signaling/client, and send
// media both ways (caller_test.go); the router is the kernel's own, told over netlink (netfilter_test.go). The tests need
// root, as CI has, and fail without it.
package survive
