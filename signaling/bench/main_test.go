//go:build linux

package bench

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"tourbillon/signaling"
	"tourbillon/signaling/peerjs"
	"tourbillon/timing"
)

// TestMain makes this test binary the processes that the command starts by executing itself.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == GenerateCommand:
		err = Generate(os.Stdin, os.Stdout)
	case len(os.Args) > 1 && os.Args[1] == ServeCommand:
		err = serveForTest()
	default:
		// A program built with the race detector waits a second before it ends, unless told.
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
			panic(err)
		}
		goleak.VerifyTestMain(m)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// services is both protocols on one listener.
func services() http.Handler {
	e := echo.New()
	signaling.New(signaling.Config{OpenRooms: true, Limits: signaling.Limits{Off: true}}).Register(e)
	peerjs.New(peerjs.Config{Open: true, Limits: peerjs.Limits{Off: true}}).Register(e)
	return e
}

// serveForTest stands in for `serve`, which this package may not import.
func serveForTest() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, services()) }()
	fmt.Printf("  Call   http://localhost:%d/call/?room=demo\n", l.Addr().(*net.TCPAddr).Port)
	beats := timing.NewLateness()
	beats.Record(1000)
	return AnswerTakes(os.Stdin, os.Stdout, beats)
}
