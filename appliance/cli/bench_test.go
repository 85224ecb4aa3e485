package cli_test

import (
	"encoding/json"
	"testing"
)

// TestBenchSignaling runs both arms of the real server in processes of their own.
func TestBenchSignaling(t *testing.T) {
	code, stdout, stderr := run(t, "bench", "signaling", "--conns", "4", "--rate", "100", "--duration", "2500ms", "--settle", "0s", "--heartbeat", "1s", "--json")
	var report struct {
		Host struct{ Kernel string }
		Rows []struct {
			Arm      string
			MsgsPerS float64 `json:"msgs_per_s"`
			HBLate   *int64  `json:"hb_late_p99_ns"`
		}
		Lost int
	}
	if err := json.Unmarshal([]byte(stdout), &report); code != 0 || err != nil {
		t.Fatalf("code %d, %v\n%s\n%s", code, err, stdout, stderr)
	}
	if len(report.Rows) != 2 || report.Rows[0].MsgsPerS <= 0 || report.Rows[0].HBLate == nil || report.Rows[1].HBLate == nil || report.Rows[1].Arm != "runtime" || report.Lost != 0 || report.Host.Kernel == "" {
		t.Errorf("%+v", report)
	}
	for _, wrong := range [][]string{{"bench"}, {"bench", "smoke"}, {"bench", "signaling", "--conns", "3"}} {
		if code, _, _ := run(t, wrong...); code != 64 {
			t.Errorf("%v: code %d, want 64", wrong, code)
		}
	}
}
