package carry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Prefix selects the modules to re-time: every pion module of the build list, so that the inventory of what runs on
// which clock has no holes.
const Prefix = "github.com/pion/"

// Module is one module to re-time.
type Module struct {
	// Path and Version are those of the build list, Dir is where the sources are.
	Path, Version, Dir string
	// Replaced is set where go.mod itself replaces the module: the sources are then not told by the version.
	Replaced bool
}

// List is the modules to re-time and what their copies need to know of the checkout.
type List struct {
	Modules []Module
	// GoVersion is the go line of go.mod.
	GoVersion string
}

// Root is the nearest folder upwards that holds go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run it inside the checkout")
		}
		dir = parent
	}
}

// Pinned lists the modules to re-time that the go.mod in root pins. It downloads those that the module cache lacks.
func Pinned(root string) (List, error) {
	out, err := Go(root, "off", "list", "-m", "-json", "all")
	if err != nil {
		return List{}, fmt.Errorf("list the modules of %s: %w", filepath.Join(root, "go.mod"), err)
	}
	var list List
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			Path, Version, Dir, GoVersion string
			Main                          bool
			Replace                       *struct{ Path string }
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return List{}, fmt.Errorf("read the build list: %w", err)
		}
		if listed.Main {
			list.GoVersion = listed.GoVersion
		}
		if strings.HasPrefix(listed.Path, Prefix) {
			list.Modules = append(list.Modules, Module{listed.Path, listed.Version, listed.Dir, listed.Replace != nil})
		}
	}
	if len(list.Modules) == 0 {
		return List{}, fmt.Errorf("%s requires no module below %s: nothing to re-time", filepath.Join(root, "go.mod"), Prefix)
	}
	return list, download(root, list.Modules)
}

// download fetches, in one go, the sources of modules that the cache does not hold yet.
func download(root string, modules []Module) error {
	missing := map[string]*Module{}
	args := []string{"mod", "download", "-json"}
	for i, m := range modules {
		if m.Dir == "" {
			missing[m.Path] = &modules[i]
			args = append(args, m.Path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	out, err := Go(root, "off", args...)
	if err != nil {
		return fmt.Errorf("download modules: %w", err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var got struct{ Path, Dir string }
		if err := decoder.Decode(&got); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read where modules were downloaded to: %w", err)
		}
		if m := missing[got.Path]; m != nil {
			m.Dir = got.Dir
		}
	}
}

// Go runs the go command in dir and returns what it printed. workspace is the go.work to use; "off" is for listing what
// go.mod pins, since a workspace whose copies are gone would stop the go command.
func Go(dir, workspace string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOWORK="+workspace, "GOFLAGS="+flagsReadonly(os.Getenv("GOFLAGS")))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// flagsReadonly is GOFLAGS with its -mod, whatever it was, set to readonly: neither go.mod nor a vendor folder is
// wanted changed or read.
func flagsReadonly(goflags string) string {
	kept := []string{"-mod=readonly"}
	for flag := range strings.FieldsSeq(goflags) {
		if !strings.HasPrefix(strings.TrimLeft(flag, "-"), "mod=") {
			kept = append(kept, flag)
		}
	}
	return strings.Join(kept, " ")
}
