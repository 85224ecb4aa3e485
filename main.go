// Command tourbillon is signaling, STUN/TURN and ICE agents in one binary, with every protocol timer on one injected
// high-resolution clock. `tourbillon help` lists its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tourbillon/appliance/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on the next one ends the process at once, should stopping hang.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], cli.IO{Out: os.Stdout, Err: os.Stderr}))
}
