package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"tourbillon/appliance/config"
)

// TestFragmentsOfTheReadme loads every tourbillon.yaml of the README, and holds what it tells other programs to the ports
// on which we speak the scheme.
func TestFragmentsOfTheReadme(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	fragments := regexp.MustCompile("(?s)```yaml\n(# tourbillon\\.yaml.*?)```").FindAllStringSubmatch(readme, -1)
	if len(fragments) != 2 {
		t.Fatalf("%d fragments of tourbillon.yaml, want that of the relay and Galène's", len(fragments))
	}
	loaded := make([]config.Config, len(fragments))
	for i, fragment := range fragments {
		file := write(t, strings.ReplaceAll(fragment[1], "SECRET", strings.Repeat("5ec7e7", 8)))
		if loaded[i], err = config.Load(file, nil); err != nil {
			t.Errorf("%s\n%v", fragment[1], err)
		}
	}
	// All of Galène's participants are one user, and twelve allocations three of them.
	if n := loaded[1].TURN.Limits.AllocationsPerUser; n != -1 {
		t.Errorf("Galène's participants have %d allocations together", n)
	}
	for _, url := range regexp.MustCompile(`"(turns?):turn\.example\.org:(\d+)`).FindAllStringSubmatch(readme, -1) {
		if want := map[string]string{"turn": "3478", "turns": "5349"}[url[1]]; url[2] != want {
			t.Errorf("%s: has port %s, want %s", url[1], url[2], want)
		}
	}
	for _, want := range []string{
		"`turn only`, `turn.example.org:3478`", "`turns only`, `turn.example.org:5349`", // Nextcloud Talk gives both schemes one port.
		"turn_external_tcp = true\n", "turn_external_tls_port = 5349", // Prosody tells of UDP alone unless told.
		`type = "turns", host = "turn.example.org", port = 5349, transport = "tcp"`,
	} {
		if !strings.Contains(readme, want) {
			t.Errorf("the README lacks %s", want)
		}
	}
	if strings.Contains(readme, "`turn and turns`") {
		t.Error("the plain port does not speak TLS")
	}
}
