package appliance

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	yaml "go.yaml.in/yaml/v4"

	"tourbillon/signaling"
)

// operation is what the description says of one route and method.
type operation struct {
	Summary   string         `yaml:"summary"`
	Responses map[string]any `yaml:"responses"`
}

func describedOperations(t *testing.T) map[string]operation {
	t.Helper()
	var description struct {
		Paths map[string]map[string]operation `yaml:"paths"`
	}
	if err := yaml.Load(openAPI, &description); err != nil {
		t.Fatal(err)
	}
	described := map[string]operation{}
	for path, methods := range description.Paths {
		for method, o := range methods {
			described[strings.ToUpper(method)+" "+path] = o
		}
	}
	return described
}

// registeredRoutes are the routes of the code, in the description's words. HEAD goes without saying where GET is.
func registeredRoutes() (routes []string) {
	e := echo.New()
	a := &appliance{signaling: signaling.New(signaling.Config{})}
	a.publicRoutes(e)
	for _, r := range e.Routes() {
		if r.Method != http.MethodHead {
			routes = append(routes, r.Method+" "+strings.ReplaceAll(r.Path, "*", "{file}"))
		}
	}
	return routes
}

func TestDescriptionMatchesTheRoutes(t *testing.T) {
	described, registered := describedOperations(t), registeredRoutes()
	if len(registered) < 8 {
		t.Fatalf("only %v are registered", registered)
	}
	for _, route := range registered {
		o, ok := described[route]
		if !ok {
			t.Errorf("openapi.yaml says nothing of %s", route)
		} else if o.Summary == "" || len(o.Responses) == 0 {
			t.Errorf("openapi.yaml says neither what %s is for nor what it answers", route)
		}
	}
	for route := range described {
		if !slices.Contains(registered, route) {
			t.Errorf("openapi.yaml describes %s, which is not there", route)
		}
	}
}

func TestDescriptionIsServed(t *testing.T) {
	e := echo.New()
	(&appliance{signaling: signaling.New(signaling.Config{})}).publicRoutes(e)
	answer := httptest.NewRecorder()
	e.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/yaml" || answer.Body.String() != string(openAPI) {
		t.Errorf("got %d %q, %d bytes", answer.Code, answer.Header().Get("Content-Type"), answer.Body.Len())
	}
}
