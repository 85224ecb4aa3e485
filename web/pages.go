package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// dist is what Vite built; a checkout that was not built yet holds only .gitkeep.
//
//go:embed all:dist
var dist embed.FS

// asset is one embedded file, ready to serve.
type asset struct {
	data        []byte
	contentType string
	etag        string
}

// contentTypes are those of the built files; the host's own tables differ between machines.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".map":  "application/json",
	".md":   "text/markdown; charset=utf-8",
	".svg":  "image/svg+xml",
	".tgz":  "application/gzip",
	".ts":   "text/plain; charset=utf-8",
}

// Call serves the demo call page below the prefix that the caller strips.
func Call() http.Handler { return newPages("dist/call") }

// Check serves the pre-call test page below the prefix that the caller strips.
func Check() http.Handler { return newPages("dist/check") }

// SDK serves the browser client below the prefix that the caller strips.
func SDK() http.Handler { return newPages("dist/sdk") }

// Built reports whether the pages are part of this binary.
func Built() bool {
	_, err := fs.Stat(dist, "dist/call/index.html")
	return err == nil
}

// pages serves one built page with its files.
type pages struct{ assets map[string]asset }

func newPages(folder string) *pages {
	p := &pages{assets: map[string]asset{}}
	_ = fs.WalkDir(dist, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // A folder that was not built has no assets, which ServeHTTP reports.
		}
		data, err := dist.ReadFile(name)
		if err == nil {
			p.assets[strings.TrimPrefix(name, folder+"/")] = newAsset(name, data)
		}
		return err
	})
	return p
}

func newAsset(name string, data []byte) asset {
	sum := sha256.Sum256(data)
	return asset{
		data:        data,
		contentType: contentTypes[path.Ext(name)],
		etag:        `"` + hex.EncodeToString(sum[:8]) + `"`,
	}
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(p.assets) == 0 {
		http.Error(w, "The pages are not part of this binary: build it with `make build`.", http.StatusServiceUnavailable)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	a, ok := p.assets[name]
	if !ok || a.contentType == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "no-cache") // Asked again each time, answered 304 by the ETag.
	w.Header().Set("Content-Type", a.contentType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
