package appliance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"tourbillon/appliance/config"
	"tourbillon/timing/timingtest"
)

const apiKey = "an API key of a gateway"

// vending serves credentials as the public listener does.
func vending(t *testing.T, clock *timingtest.Manual, keys ...config.Secret) (ask func(method, query, form string, header ...string) (int, string, http.Header)) {
	t.Helper()
	v := newVender(keys, []string{"https://app.example.org"}, clock, func(user, host string) vended {
		return vended{Username: "17:" + user, Password: "p", TTL: 300, URIs: []string{"turn:" + hostName(host) + ":3478?transport=udp"}}
	})
	e := echo.New()
	e.Match([]string{http.MethodGet, http.MethodPost}, vendPath, v.serve)
	return func(method, query, form string, header ...string) (int, string, http.Header) {
		t.Helper()
		request := httptest.NewRequest(method, "http://turn.example.org:8080"+vendPath+"?"+query, strings.NewReader(form))
		if form != "" {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		recorder := httptest.NewRecorder()
		e.ServeHTTP(recorder, request)
		body, err := io.ReadAll(recorder.Body)
		if err != nil {
			t.Fatal(err)
		}
		return recorder.Code, string(body), recorder.Header()
	}
}

func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func TestVendedCredentials(t *testing.T) {
	ask := vending(t, timingtest.NewManual(), "another key, of another", apiKey)
	full := query("service", "turn", "api", apiKey, "key", apiKey, "username", "alice:1")
	for name, row := range map[string]struct{ method, query, form, user string }{
		"GET":                 {http.MethodGet, query("service", "turn", "key", apiKey, "username", "bob"), "", "bob"},
		"GET with api":        {http.MethodGet, query("service", "turn", "api", apiKey, "username", "bob"), "", "bob"},
		"POST form":           {http.MethodPost, "", full, "alice:1"},
		"POST in both, Janus": {http.MethodPost, full, full, "alice:1"},
		"no user":             {http.MethodGet, query("service", "turn", "key", apiKey), "", ""},
	} {
		status, body, header := ask(row.method, row.query, row.form, "Origin", "https://app.example.org")
		var answer vended
		if err := json.Unmarshal([]byte(body), &answer); status != http.StatusOK || err != nil {
			t.Fatalf("%s: %d %s", name, status, body)
		}
		if user := strings.TrimPrefix(answer.Username, "17:"); row.user != "" && user != row.user || user == "" {
			t.Errorf("%s: issued for %q", name, user)
		}
		if answer.TTL != 300 || len(answer.URIs) != 1 || answer.URIs[0] != "turn:turn.example.org:3478?transport=udp" {
			t.Errorf("%s: %s", name, body)
		}
		if header.Get("Cache-Control") != "no-store" || header.Get("Access-Control-Allow-Origin") != "https://app.example.org" ||
			!strings.HasPrefix(header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: header %v", name, header)
		}
	}
	if _, _, header := ask(http.MethodGet, full, "", "Origin", "https://evil.example.org"); header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a foreign origin is let in")
	}
}

func TestVendingRefuses(t *testing.T) {
	ask := vending(t, timingtest.NewManual(), apiKey)
	for name, row := range map[string]struct {
		method, query, form string
		want                int
	}{
		"no service":    {http.MethodGet, query("key", apiKey), "", 400},
		"odd service":   {http.MethodGet, query("service", "stun", "key", apiKey), "", 400},
		"no key":        {http.MethodGet, query("service", "turn"), "", 400},
		"empty key":     {http.MethodGet, query("service", "turn", "key", ""), "", 400},
		"wrong key":     {http.MethodGet, query("service", "turn", "key", apiKey+"x"), "", 403},
		"part of a key": {http.MethodGet, query("service", "turn", "key", apiKey[:5]), "", 403},
		"long user":     {http.MethodGet, query("service", "turn", "key", apiKey, "username", strings.Repeat("a", 257)), "", 400},
		"long body":     {http.MethodPost, "", query("service", "turn", "key", strings.Repeat("a", maxVendForm)), 400},
		"other method":  {http.MethodDelete, query("service", "turn", "key", apiKey), "", 405},
	} {
		status, body, _ := ask(row.method, row.query, row.form)
		if status != row.want || strings.Contains(body, apiKey[:5]) || strings.Contains(body, "password") {
			t.Errorf("%s: %d %s, want %d", name, status, body, row.want)
		}
	}
	if status, _, _ := vending(t, timingtest.NewManual())(http.MethodGet, query("service", "turn", "key", ""), ""); status != 404 {
		t.Errorf("without keys: %d", status)
	}
}

func TestVendingIsRateLimited(t *testing.T) {
	clock := timingtest.NewManual()
	ask := vending(t, clock, apiKey)
	good, wrong := query("service", "turn", "key", apiKey), query("service", "turn", "key", "wrong")
	count := func(query string, n int) (answers map[int]int) {
		answers = map[int]int{}
		for range n {
			status, _, header := ask(http.MethodGet, query, "")
			if answers[status]++; status == 429 && header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
		return answers
	}
	if got := count(good, 30); got[200] != 20 || got[429] != 10 {
		t.Errorf("30 at once: %v", got)
	}
	clock.Advance(time.Second)
	if got := count(wrong, 15); got[403] != 10 || got[429] != 5 {
		t.Errorf("15 guesses: %v", got)
	}
	clock.Advance(time.Second)
	if got := count(good, 1); got[429] != 1 {
		t.Errorf("after ten guesses the right key is answered %v: an eleventh guess would be told", got)
	}
	clock.Advance(3 * time.Minute)
	if got := count(good, 1); got[200] != 1 {
		t.Errorf("three minutes later: %v", got)
	}
}
