// Package systemd tests the unit file and the annotated configuration beside it.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"tourbillon/appliance/config"
)

// exposureLimit is the highest exposure level that the unit may have; lower is better.
const exposureLimit = 2.0

// installedRoot lays the unit, the binary and the configuration out as a package would.
func installedRoot(t *testing.T) (root, unit string) {
	t.Helper()
	root = t.TempDir()
	unit = filepath.Join(root, "usr/lib/systemd/system/tourbillon.service")
	install(t, "tourbillon.service", unit, 0o644)
	install(t, "tourbillon.yaml", filepath.Join(root, "etc/tourbillon/tourbillon.yaml"), 0o644)
	install(t, "/bin/true", filepath.Join(root, "usr/bin/tourbillon"), 0o755)
	install(t, "/bin/true", filepath.Join(root, "bin/kill"), 0o755)
	// The targets that every service refers to.
	targets, err := filepath.Glob("/lib/systemd/system/*.target")
	if err != nil || len(targets) == 0 {
		t.Fatalf("systemd's own targets are not installed: %v", err)
	}
	for _, target := range targets {
		install(t, target, filepath.Join(filepath.Dir(unit), filepath.Base(target)), 0o644)
	}
	return root, unit
}

func install(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, mode); err != nil {
		t.Fatal(err)
	}
}

func analyze(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("systemd-analyze", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func TestUnitIsClean(t *testing.T) {
	root, _ := installedRoot(t)
	if out := analyze(t, "verify", "--man=no", "--root="+root, "tourbillon.service"); out != "" {
		t.Errorf("systemd-analyze verify says:\n%s", out)
	}
}

var overall = regexp.MustCompile(`Overall exposure level for tourbillon\.service: ([0-9.]+)`)

func TestUnitExposure(t *testing.T) {
	_, unit := installedRoot(t)
	out := analyze(t, "security", "--offline=yes", "--no-pager", unit)
	found := overall.FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("no exposure level in:\n%s", out)
	}
	exposure, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exposure level %.1f, limit %.1f", exposure, exposureLimit)
	if exposure > exposureLimit {
		t.Errorf("exposure level %.1f, want at most %.1f:\n%s", exposure, exposureLimit, out)
	}
}

func TestAnnotatedConfigurationIsTheDefault(t *testing.T) {
	c, err := config.Load("tourbillon.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.HTTP.TrustedProxies, want.HTTP.Origins, want.TURN.TLS, want.TURN.AllowPeers, want.TURN.DenyPeers = []string{}, []string{}, []string{}, []string{}, []string{}
	want.TURN.DTLS, want.TURN.STUNServers = []string{}, []string{}
	want.TURN.Secrets, want.TURN.Users, want.TURN.APIKeys = []config.Secret{}, map[string]config.Secret{}, []config.Secret{}
	want.PeerJS.Origins = []string{}
	want.Agents.Announce = []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the annotated file says\n%+v\nthe defaults are\n%+v", c, want)
	}
}
