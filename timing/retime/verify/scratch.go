package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tourbillon/timing/retime/carry"
)

// arm is one side of the comparison, and the name of its folder.
type arm string

const (
	// published has the modules as their authors published them.
	published arm = "published"
	// retimed has all pion modules re-timed, tests too, on the hrtimer engine.
	retimed arm = "retimed"
)

// scratch is the folder that both sides are built in.
type scratch struct {
	root, dir string
	list      carry.List
	subjects  []string
}

// subject returns the module with the given short name.
func (s scratch) subject(name string) (carry.Module, error) {
	for _, m := range s.list.Modules {
		if strings.HasPrefix(strings.TrimPrefix(m.Path, carry.Prefix)+"/", name+"/") {
			return m, nil
		}
	}
	return carry.Module{}, fmt.Errorf("go.mod pins no module %s%s", carry.Prefix, name)
}

func (s scratch) isSubject(m carry.Module) bool {
	return slices.ContainsFunc(s.subjects, func(name string) bool {
		found, err := s.subject(name)
		return err == nil && found.Path == m.Path
	})
}

func (s scratch) folder(a arm, m carry.Module) string {
	return filepath.Join(s.dir, string(a), filepath.FromSlash(m.Path))
}

func (s scratch) workspace(a arm) string { return filepath.Join(s.dir, string(a), "go.work") }

// make fills the folder: both sides have copies of the subjects with their tests, the re-timed side copies of all else.
func (s scratch) make() error {
	for _, a := range []arm{published, retimed} {
		for _, m := range s.list.Modules {
			if a == published && !s.isSubject(m) {
				continue
			}
			o := carry.Options{Tests: s.isSubject(m), AsPublished: a == published}
			copied, err := carry.Copy(m, s.folder(a, m), o)
			if err != nil {
				return err
			}
			if a == retimed && o.Tests {
				if err := startClocks(s.folder(a, m), copied.Packages); err != nil {
					return fmt.Errorf("start the clock in the tests of %s: %w", m.Path, err)
				}
			}
		}
		if err := os.WriteFile(s.workspace(a), s.goWork(a), 0o644); err != nil {
			return err
		}
	}
	return s.excuseEngine()
}

// goWork uses the checkout and the subjects, so that both sides choose the same versions of all else.
func (s scratch) goWork(a arm) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "go %s\n\nuse %s\n", s.list.GoVersion, strconv.Quote(s.root))
	for _, m := range s.list.Modules {
		switch {
		case s.isSubject(m):
			fmt.Fprintf(&b, "use ./%s\n", m.Path)
		case a == retimed:
			fmt.Fprintf(&b, "replace %s %s => ./%s\n", m.Path, m.Version, m.Path)
		}
	}
	return b.Bytes()
}

// clockTest is added to each tested package: it puts the test binary's process clock on the engine before any test, and
// tells after the last test how many timers fired there.
const clockTest = `package %s

import (
	retimedfmt "fmt"
	retimedtesting "testing"

	retimedtiming "tourbillon/timing"
	retimedstdtime %q
)

var retimedMeter *retimedtiming.Meter

func init() {
	engine, err := retimedtiming.NewEngine()
	if err == nil {
		retimedMeter = retimedtiming.NewMeter(engine, nil)
		err = retimedstdtime.Use(engine, retimedMeter)
	}
	if err != nil {
		panic(err)
	}
}

func %s(*retimedtesting.T) {
	for _, label := range retimedMeter.Labels() {
		retimedfmt.Println(%q, label.Name, label.Total)
	}
}
`

const (
	clockTestName = "TestZZRetimedClock"
	firingsWord   = "retimed-firings"
)

// startClocks adds clockTest to the packages of one module that have tests.
func startClocks(dir string, packages map[string]string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		tests, _ := filepath.Glob(filepath.Join(path, "*_test.go"))
		if err != nil || len(tests) == 0 || packages[rel] == "" {
			return err
		}
		text := fmt.Sprintf(clockTest, packages[rel], carry.StdtimePath, clockTestName, firingsWord)
		return os.WriteFile(filepath.Join(path, "zz_clock_test.go"), []byte(text), 0o644)
	})
}

// excuseEngine teaches the goroutine check of pion's tests that the engine's waker, which lives as long as the process,
// is no leak. Nothing else in a test is changed.
func (s scratch) excuseEngine() error {
	const was, becomes = `if stack == "" ||`, `if stack == "" || strings.Contains(stack, "timing.(*timerWaker).read(") ||`
	for _, m := range s.list.Modules {
		if !strings.HasPrefix(m.Path, carry.Prefix+"transport/") {
			continue
		}
		file := filepath.Join(s.folder(retimed, m), "test", "util.go")
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !bytes.Contains(data, []byte(was)) {
			return fmt.Errorf("%s: test/util.go has another goroutine check than this command knows: adapt excuseEngine", m.Path)
		}
		if err := os.WriteFile(file, bytes.Replace(data, []byte(was), []byte(becomes), 1), 0o644); err != nil {
			return err
		}
	}
	return nil
}
