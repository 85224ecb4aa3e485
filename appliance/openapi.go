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
