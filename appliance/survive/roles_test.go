//go:build interop && linux

package survive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"os"
	"regexp"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"tourbillon/appliance"
	"tourbillon/appliance/config"
)

// helperVariable names the role that this test binary is to play, in a process of its own.
const helperVariable = "TOURBILLON_SURVIVE_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" { // What a helper leaves ends with its process.
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

// TestHelper is not a test: it is what helper processes run.
func TestHelper(t *testing.T) {
	given := []byte(os.Getenv(helperVariable + "_CONFIG"))
	switch os.Getenv(helperVariable) {
	case "server":
		serve(t, given)
	case "caller":
		callOut(t, given)
	}
}

// serverConfig is what the server's role needs.
type serverConfig struct{ Dir string }

// banner collects what the server prints until it has said where its admin page is.
type banner struct {
	mu    sync.Mutex
	text  bytes.Buffer
	admin chan string
}

var adminLink = regexp.MustCompile(`Admin +(http://\S+)\n`)

func (b *banner) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	had := adminLink.Match(b.text.Bytes())
	b.text.Write(p)
	if found := adminLink.FindSubmatch(b.text.Bytes()); found != nil && !had {
		b.admin <- string(found[1])
	}
	return len(p), nil
}

// serve is the whole appliance on the server's address. It ends with its process, not by shutting down.
func serve(t *testing.T, given []byte) {
	var s serverConfig
	if err := json.Unmarshal(given, &s); err != nil {
		t.Fatal(err)
	}
	open, c := true, config.Default()
	c.StateDir = s.Dir
	c.HTTP.Listen, c.Admin.Listen, c.Signaling.OpenRooms = serverAddress+":8080", "127.0.0.1:8081", &open
	c.TURN.UDP, c.TURN.TCP = []string{serverAddress + ":3478"}, []string{serverAddress + ":3478"}
	c.TURN.RelayAddress, c.TURN.AllowPeers = serverAddress, []string{"10.78.0.0/16"}
	c.Agents.Listen = ""
	out := &banner{admin: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- appliance.Run(context.Background(), appliance.Options{Config: c, Out: out, Log: slog.New(slog.DiscardHandler)})
	}()
	var admin *http.Client
	select {
	case link := <-out.admin:
		admin = logIn(t, link)
	case err := <-ended:
		t.Fatal(err)
	}
	obey(map[string]func() string{"paths": func() string { return paths(admin) }})
}

func logIn(t *testing.T, link string) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	admin := &http.Client{Jar: jar}
	answer, err := admin.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return admin
}

func paths(admin *http.Client) string {
	answer, err := admin.Get("http://127.0.0.1:8081/api/paths")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Sprint(answer.Status, err)
	}
	return string(bytes.TrimSpace(text))
}
