package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct {
	admin  *Admin
	server *httptest.Server
	now    time.Time
	client *http.Client
}

var testKey = []byte("0123456789abcdef0123456789abcdef")

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{now: time.Unix(1_700_000_000, 0)}
	f.admin = NewAdmin(AdminConfig{Key: testKey, Hello: Hello{Version: "test"}, Now: func() time.Time { return f.now }, LoopbackOnly: true,
		SetHeartbeat: func(string, time.Duration) (int, error) { return 0, nil }})
	f.server = httptest.NewServer(f.admin)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.client = &http.Client{Jar: jar, Transport: &http.Transport{}}
	t.Cleanup(func() {
		f.admin.Close()
		f.client.CloseIdleConnections()
		f.server.Close()
	})
	return f
}

func (f *fixture) get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := f.client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// TestEveryRouteNeedsTheCookie walks all routes, also ones that do not exist.
func TestEveryRouteNeedsTheCookie(t *testing.T) {
	f := newFixture(t)
	paths := []string{"/", "/index.html", "/nothing-here"}
	for pattern := range f.admin.routes() {
		_, path, found := strings.Cut(pattern, " ")
		if !found {
			path = pattern
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		if status, body := f.get(t, f.server.URL+path); status != http.StatusUnauthorized || !strings.Contains(body, "tourbillon admin-link") {
			t.Errorf("%s without a cookie: %d %q, want 401 with the remedy", path, status, body)
		}
	}
}

func TestLinkOpensOnce(t *testing.T) {
	f := newFixture(t)
	link := AdminLink(testKey, f.server.URL, f.now)
	if status, _ := f.get(t, link); status == http.StatusForbidden || status == http.StatusUnauthorized {
		t.Fatalf("a fresh link: status %d", status)
	}
	if status, _ := f.get(t, f.server.URL+"/api/state"); status != http.StatusOK {
		t.Errorf("with the cookie: status %d, want 200", status)
	}
	if status, body := f.get(t, link); status != http.StatusForbidden || !strings.Contains(body, "tourbillon admin-link") {
		t.Errorf("the link again: %d %q, want 403 with the remedy", status, body)
	}
	f.now = f.now.Add(sessionLifetime)
	if status, _ := f.get(t, f.server.URL+"/api/state"); status != http.StatusUnauthorized {
		t.Errorf("with an expired cookie: status %d, want 401", status)
	}
}

func TestBadLinks(t *testing.T) {
	f := newFixture(t)
	genuine := strings.TrimPrefix(AdminLink(testKey, "", f.now), "/login?token=")
	flipped := []byte(genuine)
	flipped[12] ^= 1
	cases := map[string]string{
		"none":              "",
		"no base64":         "%%%",
		"short":             genuine[:20],
		"tampered":          string(flipped),
		"of another key":    seal([]byte("another"), "link", f.now.Add(time.Hour)),
		"a session's token": seal(testKey, "session", f.now.Add(time.Hour)),
		"expired":           seal(testKey, "link", f.now),
	}
	for name, token := range cases {
		if (&door{key: testKey, now: func() time.Time { return f.now }, used: map[string]time.Time{}}).open(token) {
			t.Errorf("%s: the door opened", name)
		}
	}
}

func TestForeignHostIsRefused(t *testing.T) {
	f := newFixture(t)
	for host, want := range map[string]int{
		"evil.example:8081": http.StatusMisdirectedRequest,
		"localhost":         http.StatusUnauthorized,
		"[::1]:8081":        http.StatusUnauthorized,
		"127.0.0.1":         http.StatusUnauthorized,
	} {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host = host
		f.admin.ServeHTTP(recorder, request)
		if recorder.Code != want {
			t.Errorf("host %s: status %d, want %d", host, recorder.Code, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	recorder := httptest.NewRecorder()
	f.admin.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/", nil))
	if got := recorder.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
		t.Errorf("content security policy %q", got)
	}
	if recorder.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Error("no nosniff header")
	}
}

func TestStream(t *testing.T) {
	f := newFixture(t)
	f.get(t, AdminLink(testKey, f.server.URL, f.now))
	for i := range historySamples + 5 {
		f.admin.Publish(Sample{AtMS: int64(i)}, func(Sample) State { t.Error("described for nobody"); return State{} })
	}
	describe := func(s Sample) State { return State{Sample: s, SelfCall: SelfCall{Status: "connected"}} }
	f.admin.Publish(Sample{AtMS: historySamples + 5}, describe)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.server.URL+"/api/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := f.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	events := bufio.NewScanner(response.Body)
	events.Buffer(nil, 1<<20)
	var hello Hello
	readEvent(t, events, "hello", &hello)
	if n := len(hello.History); n != historySamples || hello.History[n-1].AtMS != historySamples+5 {
		t.Errorf("history of %d samples, want the newest %d", n, historySamples)
	}
	var state State
	readEvent(t, events, "state", &state)
	f.admin.Publish(Sample{AtMS: 77}, describe)
	readEvent(t, events, "state", &state)
	if state.AtMS != 77 || state.SelfCall.Status != "connected" {
		t.Errorf("state of %d, want the published 77", state.AtMS)
	}
	f.admin.Close()
	if events.Scan() && events.Text() != "" {
		t.Errorf("after Close the stream says %q, want its end", events.Text())
	}
}

func readEvent(t *testing.T, events *bufio.Scanner, name string, into any) {
	t.Helper()
	for events.Scan() {
		if events.Text() == "event: "+name {
			break
		}
	}
	if !events.Scan() {
		t.Fatalf("no %s event: %v", name, events.Err())
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(events.Text(), "data: ")), into); err != nil {
		t.Fatal(err)
	}
}

func TestPagesThatWereNotBuiltSaySo(t *testing.T) {
	recorder := httptest.NewRecorder()
	newPages("dist/none").ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	if recorder.Code != http.StatusServiceUnavailable || !strings.Contains(recorder.Body.String(), "make build") {
		t.Errorf("status %d %q, want 503 with the remedy", recorder.Code, recorder.Body.String())
	}
}
