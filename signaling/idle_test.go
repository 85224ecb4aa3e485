package signaling

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"github.com/lxzan/gws"
)

// The idle-connection benchmark runs this test binary again, once per measurement, with the arm in idleArmVariable:
// resident memory of one library cannot be told apart from that of another in one process.
const (
	idleArmVariable = "SIGNALING_IDLE_ARM"
	idleConnections = 2000
	idleRepetitions = 5
)

// idleArms are the two libraries bare, each with one goroutine per connection that blocks in a read, and the whole
// service with every connection joined and its heartbeat armed.
var idleArms = []string{"gws", "coder", "signaling"}

// BenchmarkIdleConnection measures resident KiB per idle connection, from the difference in /proc/self/statm after a
// collection between 100 and 2100 connections.
func BenchmarkIdleConnection(b *testing.B) {
	for b.Loop() {
		kib := map[string][]float64{}
		for repetition := range idleRepetitions {
			for i := range idleArms {
				arm := idleArms[(i+repetition)%len(idleArms)]
				kib[arm] = append(kib[arm], measureIdleArm(b, arm))
			}
		}
		for _, arm := range idleArms {
			slices.Sort(kib[arm])
			b.Logf("%-9s %5.2f KiB per connection (median of %d; %.2f to %.2f)",
				arm, middle(kib[arm]), idleRepetitions, kib[arm][0], kib[arm][idleRepetitions-1])
			b.ReportMetric(middle(kib[arm]), "KiB/"+arm)
		}
		b.ReportMetric(middle(kib["coder"])/middle(kib["gws"]), "coder/gws")
	}
}

func middle(sorted []float64) float64 { return sorted[len(sorted)/2] }

// measureIdleArm starts a process, opens connections to it, and returns KiB per connection.
func measureIdleArm(b *testing.B, arm string) float64 {
	b.Helper()
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), idleArmVariable+"="+arm)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = in.Close() // Which ends it.
		_ = server.Wait()
	}()
	lines := bufio.NewReader(out)
	var address string
	if _, err := fmt.Fscanln(lines, &address); err != nil {
		b.Fatal(err)
	}
	ask := func() (kib float64) {
		_, _ = fmt.Fprintln(in, "measure")
		if _, err := fmt.Fscanln(lines, &kib); err != nil {
			b.Fatal(err)
		}
		return kib
	}
	defer openIdle(b, arm, address, 100)()
	before := ask()
	defer openIdle(b, arm, address, idleConnections)()
	return (ask() - before) / idleConnections
}

// openIdle opens connections, two to a room, and returns what closes them.
func openIdle(b *testing.B, arm, address string, n int) (closeAll func()) {
	b.Helper()
	conns := make([]net.Conn, 0, n)
	for i := range n {
		c, err := dialRaw(address)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c.Conn)
		if arm != "signaling" {
			continue
		}
		_, _ = c.Write(append(frame(0x81, []byte(`{"type":"hello"}`)),
			frame(0x81, fmt.Appendf(nil, `{"type":"join","room":"%d-%d"}`, n, i/2))...))
		if _, err := c.read.Peek(64); err != nil {
			b.Fatal(err)
		}
	}
	return func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// serveIdleArm is the other process: it serves one arm and answers each line of its input with its resident KiB.
func serveIdleArm(arm string) {
	handler := map[string]func() http.Handler{"gws": gwsArm, "coder": coderArm, "signaling": signalingArm}[arm]()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(l, handler) }()
	fmt.Println(l.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		debug.FreeOSMemory() // Collects first.
		debug.FreeOSMemory()
		fmt.Println(residentKiB())
	}
}

func residentKiB() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		panic(err)
	}
	return resident * float64(os.Getpagesize()) / 1024
}

func gwsArm() http.Handler {
	upgrader := gws.NewUpgrader(gws.BuiltinEventHandler{}, &gws.ServerOption{SubProtocols: []string{Subprotocol}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err == nil {
			go c.ReadLoop()
		}
	})
}

func coderArm() http.Handler {
	options := &websocket.AcceptOptions{Subprotocols: []string{Subprotocol}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, options)
		if err != nil {
			return
		}
		go func() {
			for {
				_, message, err := c.Reader(context.Background())
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, message)
			}
		}()
	})
}

func signalingArm() http.Handler {
	e := echo.New()
	New(Config{OpenRooms: true, Heartbeat: 5 * time.Second, Limits: Limits{Off: true}}).Register(e)
	return e
}
