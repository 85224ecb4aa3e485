package main

import (
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"tourbillon/timing/retime/carry"
)

// sources are the generator's own, so that a changed generator runs again.
//
//go:embed *.go
var sources embed.FS

// stamp tells what the copies beside it are.
type stamp struct {
	// Input names what they were made from, Sums are the content hashes that the modules register.
	Input string
	Sums  map[string]string
	// Files are the content hashes of all files, by which a change by somebody else is seen.
	Files map[string]string
}

// readStamp reads the stamp of a folder of copies; found is false where there is none that can be read.
func readStamp(dir string) (s stamp, found bool) {
	data, err := os.ReadFile(filepath.Join(dir, stampFile))
	return s, err == nil && json.Unmarshal(data, &s) == nil
}

func (s stamp) write(dir string) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, stampFile), append(data, '\n'), 0o644)
}

// input names what the copies are made from: the generator and the modules with their versions, and with their
// contents where go.mod replaces them by something that a version does not tell.
func (g generation) input() string {
	hash := sha256.New()
	note := func(files fs.FS) {
		manifest, err := manifestOf(files)
		maps.DeleteFunc(manifest, func(file, _ string) bool { return strings.HasSuffix(file, "_test.go") })
		fmt.Fprintln(hash, manifest, err) // Maps are printed in the order of their keys.
	}
	note(sources)
	note(carry.Sources)
	fmt.Fprintln(hash, "go", g.list.GoVersion)
	for _, m := range g.list.Modules {
		fmt.Fprintln(hash, m.Path, m.Version)
		if m.Replaced {
			note(os.DirFS(m.Dir))
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// manifestOf lists files with their content hashes, without the stamp at the top.
func manifestOf(files fs.FS) (map[string]string, error) {
	manifest := map[string]string{}
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == stampFile {
			return err
		}
		data, err := fs.ReadFile(files, path)
		manifest[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	return manifest, err
}

// editedSince names the files below dir that differ from a manifest: changed, added or gone.
func editedSince(dir string, manifest map[string]string) (edited []string, err error) {
	present, err := manifestOf(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	all := maps.Clone(manifest)
	maps.Copy(all, present)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		if present[file] != manifest[file] {
			edited = append(edited, path.Join(outputDir, file))
		}
	}
	return edited, nil
}
