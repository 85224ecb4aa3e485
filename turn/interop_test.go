//go:build interop

package turn_test

import (
	"context"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"tourbillon/turn"
)

// uclientDeadline bounds one run of coturn's client.
const uclientDeadline = 60 * time.Second

// TestUclient relays between two allocations with coturn's own client. It needs turnutils_uclient (package coturn).
func TestUclient(t *testing.T) {
	program, err := exec.LookPath("turnutils_uclient")
	if err != nil {
		t.Fatalf("install coturn, or leave out the build tag interop: %v", err)
	}
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff(),
	})
	for _, transport := range []turn.Transport{turn.UDP, turn.TCP} {
		for _, mode := range [][]string{nil, {"-s"}} { // channels, then Send indications
			args := append([]string{"-y", "-c", "-m", "4", "-n", "50", "-l", "200", "-z", "5", "-W", testSecret}, mode...)
			if transport == turn.TCP {
				args = append(args, "-t")
			}
			runUclient(t, program, addressOf(t, server, transport), args)
		}
	}
}

var (
	uclientSent = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`)
	uclientLost = regexp.MustCompile(`Total lost packets (\d+)`)
)

func runUclient(t *testing.T, program string, at netip.AddrPort, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), uclientDeadline)
	defer cancel()
	args = append(args, "-p", strconv.Itoa(int(at.Port())), at.Addr().String())
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("uclient %v: %v\n%s", args, err, out)
	}
	expectNoLoss(t, args, out)
}

// expectNoLoss reads what uclient printed.
func expectNoLoss(t *testing.T, args []string, out []byte) {
	t.Helper()
	totals := uclientSent.FindAllSubmatch(out, -1)
	lost := uclientLost.FindSubmatch(out)
	if len(totals) == 0 || lost == nil {
		t.Errorf("uclient %v printed no totals:\n%s", args, out)
		return
	}
	last := totals[len(totals)-1]
	if string(last[1]) != string(last[2]) || string(last[1]) == "0" || string(lost[1]) != "0" {
		t.Errorf("uclient %v: sent %s, received %s, lost %s\n%s", args, last[1], last[2], lost[1], out)
	}
}
