// Command retime puts pion on the injected clock without a fork: it copies the pion modules that go.mod pins into
// .retimed/, turns their imports of package time (and of package context, where it arms timers) into imports of
// tourbillon/timing/stdtime and stdcontext, and writes a go.work whose replace lines point at the copies. Both are
// git-ignored; every go command then builds with the re-timed modules, and with GOWORK=off with pion as published.
//
// Line numbers stay, one import line changes per file, and each copied package registers its module's version and
// content hash, so that the binary can tell what it was built from (package stdtime, Register).
//
// Run it by `go generate ./timing/...`. Where nothing changed it does nothing. A construct that it cannot carry stops
// it with file, line and reason.
package main

//go:generate env GOWORK=off GOFLAGS=-mod=readonly go run .

import (
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "retime:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	modules, goVersion, err := pinnedModules(root)
	if err != nil {
		return err
	}
	g := generation{root: root, goVersion: goVersion, modules: modules}
	if g.upToDate() {
		return nil
	}
	if err := g.write(); err != nil {
		return err
	}
	fmt.Printf("retime: %d modules on the injected clock\n", len(modules))
	return nil
}
