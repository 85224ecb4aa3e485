package appliance

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheAdminListenerLeadsToTheCheck(t *testing.T) {
	var a appliance
	ask := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		a.adminRoutes()["GET /check/"].ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/check/", nil))
		return answer
	}
	if early := ask(); early.Code != http.StatusServiceUnavailable {
		t.Errorf("before the public listener is open: %d", early.Code)
	}
	const check = "https://call.example.org/check/"
	public := check
	a.checkURL.Store(&public)
	if answer := ask(); answer.Code != http.StatusFound || answer.Header().Get("Location") != check {
		t.Errorf("got %d to %q", answer.Code, answer.Header().Get("Location"))
	}
}
