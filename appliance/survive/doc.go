// Package survive holds the end-to-end tests of calls that survive: an address that changes, an address translator that
// forgets, a server with its relay that is killed, and ten seconds of total loss.
//
// Each test makes a network of its own (package netlab), a router between the server and two clients, and runs the server
// and the clients as processes inside it (world_test.go). The clients are pion's, over package signaling/client, and send
// media both ways (caller_test.go); web/e2e/paths.test.ts does the like with browsers. The tests need root, as CI has, and
// fail without it.
package survive
