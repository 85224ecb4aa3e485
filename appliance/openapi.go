package appliance

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// openAPI describes the routes of the public listener. A test holds it against those that publicRoutes registers.
//
//go:embed openapi.yaml
var openAPI []byte

func serveOpenAPI(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", openAPI) }

// openAPIAdmin describes our routes of the admin listener. Tests hold it against adminRoutes and the structs that they
// answer with.
//
//go:embed openapi-admin.yaml
var openAPIAdmin []byte

func serveOpenAPIAdmin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPIAdmin) // The reader went away: nobody to tell.
}
