package appliance

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tourbillon/appliance/config"
	"tourbillon/signaling"
)

const checkPage = "https://call.example.org/check/"

// askForCheck is the admin listener's answer to who follows its link to the check.
func askForCheck(a *appliance) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	a.adminRoutes()["GET /check/"].ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/check/", nil))
	return answer
}

// openedPublic has its public listener open, with its rooms open or not; log holds what it logs.
func openedPublic(openRooms bool) (a *appliance, log *strings.Builder) {
	log = new(strings.Builder)
	a = &appliance{config: config.Default(), log: slog.New(slog.NewTextHandler(log, nil))}
	a.config.Signaling.OpenRooms, a.config.Signaling.TokenIssuer = &openRooms, "us"
	a.secrets.Token = []byte(strings.Repeat("k", 32))
	page := checkPage
	a.checkURL.Store(&page)
	return a, log
}

func TestTheAdminListenerLeadsToTheCheck(t *testing.T) {
	if early := askForCheck(new(appliance)); early.Code != http.StatusServiceUnavailable {
		t.Errorf("before the public listener is open: %d", early.Code)
	}
	a, _ := openedPublic(true)
	if answer := askForCheck(a); answer.Code != http.StatusFound || answer.Header().Get("Location") != checkPage {
		t.Errorf("got %d to %q", answer.Code, answer.Header().Get("Location"))
	}
}

// TestTheCheckIsLetInWhereRoomsWantTokens follows the link as the check does, which enters twice.
func TestTheCheckIsLetInWhereRoomsWantTokens(t *testing.T) {
	a, log := openedPublic(false)
	location, err := url.Parse(askForCheck(a).Header().Get("Location"))
	if err != nil || !strings.HasPrefix(location.String(), checkPage+"?") {
		t.Fatalf("led to %v: %v", location, err)
	}
	fragment, err := url.ParseQuery(location.EscapedFragment())
	if err != nil || location.Query().Has("token") {
		t.Fatalf("the fragment of %v: %v", location, err)
	}
	room, token := location.Query().Get("room"), fragment.Get("token")
	if !strings.HasPrefix(room, "check-") {
		t.Errorf("room %q", room)
	}
	verifier, err := signaling.NewVerifier(verifierConfig(a.config, a.secrets.Token))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := verifier.Verify(token, room, now); err != nil {
		t.Errorf("its token: %v", err)
	}
	if verifier.Verify(token, demoRoom, now) == nil || verifier.Verify(token, room, now.Add(time.Hour)) == nil {
		t.Error("its token opens more than the room of one check")
	}
	if payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1]); strings.Contains(string(payload), `"once"`) {
		t.Errorf("its token serves once: %s", payload)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
	if again := askForCheck(a).Header().Get("Location"); strings.Contains(again, room) {
		t.Errorf("two visits meet in room %s", room)
	}
}
