// Package netlab gives tests a network of their own, of network namespaces: hosts, each on a link to a router that can
// hide one of them behind an address translator and lose packets. All of it is the kernel's own; the router is told over
// netlink, so nothing but iproute2 has to be installed. It is for tests alone, and needs root.
package netlab
