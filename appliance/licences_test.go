package appliance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences are those that a module which we link may have, each known by a sentence that only its text has.
var licences = map[string]*regexp.Regexp{
	"MIT":        phrase(`permission is hereby granted, free of charge, to any person obtaining a copy`),
	"ISC":        phrase(`permission to use, copy, modify, and/?(or)? distribute this software for any purpose with or without fee is hereby granted`),
	"BSD":        phrase(`redistribution and use in source and binary forms, with or without modification, are permitted`),
	"Apache-2.0": phrase(`apache license,? version 2\.0, january 2004`),
	"MPL-2.0":    phrase(`mozilla public license,? version 2\.0`),
}

// foreign are phrases of licences that bind what links them; they count wherever they stand, a permissive text beside
// them or not.
var foreign = phrase(`gnu (lesser |affero |library )?general public license|server side public license|business source license|commons clause`)

func phrase(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)` + strings.ReplaceAll(pattern, " ", `\s+`))
}

// licenceOf names the licence of a text; "" is for none that may be linked.
func licenceOf(text string) string {
	// MPL 2.0 names the licences of the GNU project as possible secondary ones.
	if licences["MPL-2.0"].MatchString(text) {
		return "MPL-2.0"
	}
	if foreign.MatchString(text) {
		return ""
	}
	for _, name := range []string{"Apache-2.0", "MIT", "ISC", "BSD"} {
		if licences[name].MatchString(text) {
			return name
		}
	}
	return ""
}

// TestLicences reads the licence file of every module that the program links, as published: a replaced module is not the
// one that is distributed under its name.
func TestLicences(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "tourbillon")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		path, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || seen[path] {
			continue
		}
		seen[path] = true
		if text := licenceText(t, dir); licenceOf(text) == "" {
			t.Errorf("%s has no licence that may be linked: its licence file begins %.80q", path, text)
		}
	}
	if len(seen) < 20 || !seen["github.com/pion/webrtc/v4"] {
		t.Errorf("%d modules only: is that all that the program links?", len(seen))
	}
}

// licenceText is what stands in a module's licence files at its top.
func licenceText(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if entry.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text.Write(data)
	}
	return text.String()
}

// TestLicenceOfCanRefuse guards the guard.
func TestLicenceOfCanRefuse(t *testing.T) {
	cases := map[string]string{
		"The MIT License\n\nPermission is hereby granted, free of\ncharge, to any person obtaining a copy":                            "MIT",
		"Redistribution and use in source and binary forms, with or without\nmodification, are permitted":                             "BSD",
		"Permission to use, copy, modify, and distribute this software for any\npurpose with or without fee is hereby granted":        "ISC",
		"Apache License\n   Version 2.0, January 2004":                                                                                "Apache-2.0",
		"Mozilla Public License Version 2.0 ... GNU General Public License":                                                           "MPL-2.0",
		"GNU GENERAL PUBLIC LICENSE\nVersion 3":                                                                                       "",
		"GNU Affero General Public License":                                                                                           "",
		"MIT: Permission is hereby granted, free of charge, to any person obtaining a copy, under the \"Commons Clause\" restriction": "",
		"All rights reserved.": "",
		"":                     "",
	}
	for text, want := range cases {
		if got := licenceOf(text); got != want {
			t.Errorf("%.60q: %q, want %q", text, got, want)
		}
	}
}
