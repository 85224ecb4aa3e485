package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pion/stun/v4"
	"go.uber.org/goleak"

	"tourbillon/timing/rounds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--clients", "10", "--arm", "pion,coturn", "--json"})
	if err != nil || o.clients != 10 || strings.Join(o.arms, " ") != "pion coturn" || !o.asJSON {
		t.Errorf("%+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--clients 3": "even", "--clients -2": "from 0", "--rate 0": "from 1", "--runs 0": "from 1", "--duration 1ms": "from 500ms",
		"--arm tea": "some of", "--arm pion,pion": "twice", "x": "options begin", "--tea": "see `tourbillon help`",
	} {
		_, err := parseOptions(strings.Fields(args))
		var usage *rounds.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a usage error with %q", args, err, want)
		}
	}
}

func TestReport(t *testing.T) {
	of := func(mean int64, sent int) outcome {
		return outcome{Sent: sent, Answered: 100, MeanNS: mean, P50NS: mean, P95NS: 2 * mean, P99NS: 3 * mean, CPUPer: 7}
	}
	all := []rounds.Round[outcome]{
		{ArmTourbillon: of(60, 100), ArmPion: of(100, 101)},
		{ArmTourbillon: of(70, 100), ArmPion: of(200, 102)},
		{ArmTourbillon: of(90, 100), ArmPion: of(100, 100)},
	}
	r := newReport(options{arms: []string{ArmTourbillon, ArmPion, ArmCoturn}, clients: 10}, Self{}, all)
	if want := (Row{ArmTourbillon, 10, 70, 70, 140, 210, 0, 7}); len(r.Rows) != 2 || r.Rows[0] != want {
		t.Errorf("rows %+v, want %+v first", r.Rows, want)
	}
	if r.Rows[1].Lost != 3 || len(r.Ratios) != 1 {
		t.Errorf("%+v", r)
	}
	if q := r.Ratios[0]; q.Ratio != 0.6 || q.Low != 0.35 || q.High != 0.9 || !*q.Reached {
		t.Errorf("%+v", q)
	}
	var text strings.Builder
	if err := r.writeText(&text); err != nil || !strings.Contains(text.String(), "0.70, reached") {
		t.Errorf("%v\n%s", err, text.String())
	}
	row, _ := json.Marshal(r.Rows[0])
	const want = `{"arm":"tourbillon","clients":10,"rtt_mean_ns":70,"rtt_p50_ns":70,"rtt_p95_ns":140,"rtt_p99_ns":210,"lost":0,"cpu_ns_per_req":7}`
	if string(row) != want {
		t.Errorf("row %s, want %s", row, want)
	}
}

func TestFindPrograms(t *testing.T) {
	o := options{arms: []string{ArmPion}}
	if _, err := findPrograms(o, Self{}, io.Discard); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("from the program with pion as published: %v", err)
	}
	if _, err := findPrograms(o, Self{Retimed: true}, io.Discard); err == nil || !strings.Contains(err.Error(), "tourbillon-stdtime, the same program") {
		t.Errorf("without the other program: %v", err)
	}
	o.plain = filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(o.plain, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := findPrograms(o, Self{Retimed: true}, io.Discard)
	if err != nil || p.plain != o.plain {
		t.Fatalf("--plain: %+v, %v", p, err)
	}
	if err := os.Remove(p.dir); err != nil {
		t.Error(err)
	}
}

// TestProber asks a server that answers every request but each fifth one.
func TestProber(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 1500)
		for i := 0; ; i++ {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			ask := stun.New()
			if stun.Decode(buffer[:n], ask) == nil && i%5 != 0 {
				_, _ = conn.WriteToUDPAddrPort(stun.MustBuild(ask, stun.BindingSuccess).Raw, from)
			}
		}
	})
	defer serving.Wait()
	defer conn.Close()
	at, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	o := &probeOrder{Server: at, PID: os.Getpid(), Rate: 200, Duration: 8 * sliceLength} // A stall costs a slice, not all.
	got, err := o.measure()
	for (err != nil || got.Sent < 5 || got.Answered < got.Sent/2) && o.Duration < 64*sliceLength {
		t.Logf("in %v: %+v, %v", o.Duration, got, err)
		o.Duration *= 2 // A machine that stood still for most of the slices may do better in more of them.
		got, err = o.measure()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent < 5 || got.Answered >= got.Sent || got.Answered < got.Sent/2 {
		t.Errorf("%d of %d answered, want four of five", got.Answered, got.Sent)
	}
	if got.P50NS <= 0 || got.P50NS > got.P95NS || got.P95NS > got.P99NS || got.MeanNS <= 0 {
		t.Errorf("%+v", got)
	}
}

// fakeSignaling speaks the server's part to both clients of one room, with frames by hand, and returns what they said.
func fakeSignaling(t *testing.T) (addr string, heard <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	var serving sync.WaitGroup
	serving.Go(func() {
		for i := 0; ; i++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { converse(conn, i, said) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().String(), said
}

func converse(conn net.Conn, i int, said chan<- string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	frame := func(text string) {
		_, _ = conn.Write(append([]byte{final | opText, byte(len(text))}, text...))
	}
	if i == 0 {
		frame(`{"type":"joined","peer":"a","peers":[]}`)
		frame(`{"type":"peer-joined","peer":{"id":"b"}}`)
	} else {
		frame(`{"type":"joined","peer":"b","peers":[{"id":"a"}]}`)
	}
	frame(`{"type":"ping","seq":17,"rtt_us":1}`)
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		length := int(head[1] & 0x7f)
		if length == 126 {
			extended := make([]byte, 2)
			_, _ = io.ReadFull(in, extended)
			length = int(extended[0])<<8 | int(extended[1])
		}
		payload := make([]byte, 4+length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		select {
		case said <- string(payload[4:]):
		default:
		}
	}
}

// TestLoad holds that clients join, answer pings and send to one another until they are told to end.
func TestLoad(t *testing.T) {
	addr, heard := fakeSignaling(t)
	in, end := io.Pipe()
	out := &bytes.Buffer{}
	done := make(chan error, 1)
	go func() { done <- (&loadOrder{Addr: addr, Clients: 2}).run(in, out) }()
	want := map[string]bool{`"join"`: true, `{"type":"pong","seq":17}`: true, `"candidate","to":"a"`: true, `"candidate","to":"b"`: true}
	for len(want) > 0 {
		text := <-heard
		for part := range want {
			if strings.Contains(text, part) {
				delete(want, part)
			}
		}
	}
	end.Close()
	if err := <-done; err != nil || out.String() != readyLine+"\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// TestLoadBreaks holds that a lost connection is no silent loss of load.
func TestLoadBreaks(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			conn.Close()
		}
	})
	defer serving.Wait()
	defer listener.Close()
	in, end := io.Pipe()
	defer end.Close()
	if err := (&loadOrder{Addr: listener.Addr().String(), Clients: 2}).run(in, io.Discard); err == nil {
		t.Error("a lost connection is no error")
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte{final | opText, 5})
	f.Add([]byte{final | opText, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, head []byte) {
		if _, length, err := readHeader(bufio.NewReader(bytes.NewReader(head))); err == nil && length > maxMessage {
			t.Errorf("%d bytes", length)
		}
	})
}

// TestChild refuses to be started by hand.
func TestChild(t *testing.T) {
	for _, text := range []string{"", "hello\n", "{}\n"} {
		if err := Child(context.Background(), strings.NewReader(text), io.Discard, nil); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
