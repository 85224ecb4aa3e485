package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestHeartbeatOrders(t *testing.T) {
	f := newFixture(t)
	var class string
	var interval time.Duration
	f.admin.setHeartbeat = func(c string, d time.Duration) (int, error) {
		if c == "toaster" {
			return 0, errors.New("no client class: choose all, browser or native")
		}
		class, interval = c, d
		return 3, nil
	}
	send := func(kind, origin, body string) (int, string) {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, f.server.URL+"/api/heartbeat", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", kind)
		if origin != "" {
			request.Header.Set("Origin", origin)
			request.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		response, err := f.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	const order = `{"class":"native","interval_ms":250}`
	if status, _ := send("application/json", "", order); status != http.StatusUnauthorized {
		t.Errorf("without the cookie: %d, want 401", status)
	}
	f.get(t, AdminLink(testKey, f.server.URL, f.now))
	for name, test := range map[string]struct {
		kind, origin, body string
		status             int
	}{
		"good":          {"application/json", "", order, http.StatusOK},
		"of a form":     {"text/plain", "", order, http.StatusUnsupportedMediaType},
		"of a site":     {"application/json", "https://evil.example", order, http.StatusForbidden},
		"no JSON":       {"application/json", "", `{`, http.StatusBadRequest},
		"wrong type":    {"application/json", "", `{"interval_ms":"1"}`, http.StatusBadRequest},
		"unknown class": {"application/json", "", `{"class":"toaster"}`, http.StatusBadRequest},
		"too long":      {"application/json", "", `{"class":"` + strings.Repeat("x", maxBody) + `"}`, http.StatusBadRequest},
	} {
		if status, text := send(test.kind, test.origin, test.body); status != test.status {
			t.Errorf("%s: %d %q, want %d", name, status, text, test.status)
		}
	}
	if class != "native" || interval != 250*time.Millisecond {
		t.Errorf("set %s to %v", class, interval)
	}
}
