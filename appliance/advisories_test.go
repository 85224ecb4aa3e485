package appliance_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// leastVersions are the first versions without a known fault that matters here; a module below its entry must not be
// in the module graph. Old majors, and turn/v5, are in oldMajors.
var leastVersions = []struct{ module, least, fault string }{
	{"github.com/pion/dtls/v3", "v3.1.4", "CVE-2026-26014, CVE-2026-54908: nonce reuse, panic on a crafted key exchange"},
	{"github.com/pion/stun/v3", "v3.1.5", "CVE-2026-54909: panic on an empty XOR-MAPPED-ADDRESS"},
	{"github.com/pion/interceptor", "v0.1.39", "CVE-2025-49140: panic on RTP padding"},
	{"github.com/golang-jwt/jwt/v4", "v4.5.2", "CVE-2025-30204: allocation by a header"},
	{"github.com/golang-jwt/jwt/v5", "v5.2.2", "CVE-2025-30204: allocation by a header"},
	{"github.com/gorilla/websocket", "v1.4.1", "CVE-2020-27813: overflow"},
	{"github.com/quic-go/quic-go", "v0.59.1", "CVE-2025-59530, GO-2026-5676: panics"},
}

// faults says what is wrong with a module of the graph.
func faults(module, version string) string {
	for _, l := range leastVersions {
		if l.module == module && older(version, l.least) {
			return fmt.Sprintf("%s %s is older than %s: %s", module, version, l.least, l.fault)
		}
	}
	return ""
}

// older compares versions by their numbers; a pre-release counts as older than its release.
func older(version, least string) bool {
	numbers, suffix := split(version)
	wanted, _ := split(least)
	for i := range numbers {
		if numbers[i] != wanted[i] {
			return numbers[i] < wanted[i]
		}
	}
	return strings.HasPrefix(suffix, "-")
}

func split(version string) (numbers [3]int, suffix string) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "+")
	if i := strings.Index(version, "-"); i >= 0 {
		version, suffix = version[:i], version[i:]
	}
	for i, word := range strings.SplitN(version, ".", 3) {
		numbers[i], _ = strconv.Atoi(word)
	}
	return numbers, suffix
}

// TestNoAdvisedVersions looks at the whole module graph as published: a replaced module hides its advisories.
func TestNoAdvisedVersions(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		module, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[module] = true
		if fault := faults(module, version); fault != "" {
			t.Error(fault)
		}
	}
	if !known["github.com/pion/dtls/v3"] {
		t.Error("the build list has no pion/dtls/v3: is it the right one?")
	}
}

// TestFaultsCanFind guards the guard.
func TestFaultsCanFind(t *testing.T) {
	cases := map[string]bool{
		"github.com/pion/dtls/v3 v3.1.3": true, "github.com/pion/dtls/v3 v3.0.11": true, "github.com/pion/dtls/v3 v3.1.4-rc.1": true,
		"github.com/pion/dtls/v3 v3.1.4": false, "github.com/pion/dtls/v3 v3.1.15": false, "github.com/pion/dtls/v3 v3.2.0-0.20260101000000-abcdef123456": false,
		"github.com/pion/interceptor v0.1.9": true, "github.com/pion/interceptor v0.1.48": false,
		"github.com/pion/stun/v4 v4.0.0": false, "github.com/gorilla/websocket v1.4.0": true,
	}
	for line, want := range cases {
		module, version, _ := strings.Cut(line, " ")
		if got := faults(module, version); (got != "") != want {
			t.Errorf("%s: %q, faulty should be %v", line, got, want)
		}
	}
}
