package main

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

// carriedPrefix selects the modules to re-time: every pion module of the build list, so that the inventory of what
// runs on which clock has no holes.
const carriedPrefix = "github.com/pion/"

// module is one module to re-time, as the go command lists it.
type module struct {
	Path, Version, Dir string
}

// moduleRoot is the nearest folder upwards that holds go.mod.
func moduleRoot() (string, error) {
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

// pinnedModules lists the modules to re-time with their sources in the module cache, and the go line of go.mod.
func pinnedModules(root string) (modules []module, goVersion string, err error) {
	out, err := goCommand(root, "list", "-m", "-json", "all")
	if err != nil {
		return nil, "", err
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var listed struct {
			module
			GoVersion string
			Main      bool
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, "", fmt.Errorf("read the build list: %w", err)
		}
		if listed.Main {
			goVersion = listed.GoVersion
		}
		if strings.HasPrefix(listed.Path, carriedPrefix) {
			modules = append(modules, listed.module)
		}
	}
	return modules, goVersion, download(root, modules)
}

// download fetches the sources of modules that the cache does not hold yet.
func download(root string, modules []module) error {
	for i := range modules {
		if modules[i].Dir != "" {
			continue
		}
		out, err := goCommand(root, "mod", "download", "-json", modules[i].Path+"@"+modules[i].Version)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, &modules[i]); err != nil {
			return fmt.Errorf("read where %s was downloaded to: %w", modules[i].Path, err)
		}
	}
	return nil
}

// goCommand runs the go command outside any workspace: one whose .retimed/ is gone would stop it.
func goCommand(root string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}
