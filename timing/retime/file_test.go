package main

import (
	"errors"
	"strings"
	"testing"
)

func TestRetimeFile(t *testing.T) {
	cases := []struct{ name, source, want string }{
		{"plain", "package a\n\nimport \"time\"\n", "package a\n\nimport time \"tourbillon/timing/stdtime\"\n"},
		{"grouped with a comment",
			"package a\n\nimport (\n\t\"net\"\n\t\"time\" // now\n)\n",
			"package a\n\nimport (\n\t\"net\"\n\ttime \"tourbillon/timing/stdtime\" // now\n)\n"},
		{"named", "package a\n\nimport t \"time\"\n", "package a\n\nimport t \"tourbillon/timing/stdtime\"\n"},
		{"dot", "package a\n\nimport . \"time\"\n", "package a\n\nimport . \"tourbillon/timing/stdtime\"\n"},
		{"blank", "package a\n\nimport _ \"time\"\n", "package a\n\nimport _ \"tourbillon/timing/stdtime\"\n"},
		{"raw string", "package a\n\nimport `time`\n", "package a\n\nimport time \"tourbillon/timing/stdtime\"\n"},
		{"build tag", "//go:build js\n\npackage a\n\nimport \"time\"\n", "//go:build js\n\npackage a\n\nimport time \"tourbillon/timing/stdtime\"\n"},
		{"context without timers",
			"package a\n\nimport \"context\"\n\nvar c = context.Background()\n",
			"package a\n\nimport \"context\"\n\nvar c = context.Background()\n"},
		{"context with a timer",
			"package a\n\nimport (\n\tctx \"context\"\n\t\"time\"\n)\n\nvar c, _ = ctx.WithTimeout(ctx.Background(), time.Second)\n",
			"package a\n\nimport (\n\tctx \"tourbillon/timing/stdcontext\"\n\ttime \"tourbillon/timing/stdtime\"\n)\n\nvar c, _ = ctx.WithTimeout(ctx.Background(), time.Second)\n"},
		{"a string that says time", "package a\n\nvar s = \"time\"\n", "package a\n\nvar s = \"time\"\n"},
	}
	for _, c := range cases {
		packages := map[string]string{}
		got, err := retimeFile("dir/file.go", []byte(c.source), packages)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if string(got) != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		if strings.Count(string(got), "\n") != strings.Count(c.source, "\n") {
			t.Errorf("%s: line numbers moved", c.name)
		}
		if packages["dir"] != "a" {
			t.Errorf("%s: package %q noted, want a", c.name, packages["dir"])
		}
	}
}

func TestRetimeFileStopsAtWhatItCannotCarry(t *testing.T) {
	cases := []struct{ name, source, want string }{
		{"dot context", "package a\n\nimport . \"context\"\n", "f.go:3:8: package context is imported with a dot"},
		{"linkname", "package a\n\nimport _ \"unsafe\"\n\n//go:linkname now time.now\nfunc now()\n", "f.go:5:1: linkname to time.now"},
	}
	for _, c := range cases {
		_, err := retimeFile("f.go", []byte(c.source), map[string]string{})
		var uncarriable *uncarriableError
		if !errors.As(err, &uncarriable) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that begins %q", c.name, err, c.want)
		}
	}
}
