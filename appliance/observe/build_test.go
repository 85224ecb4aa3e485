package observe

import (
	"encoding/json"
	"errors"
	"runtime/debug"
	"strings"
	"testing"

	"tourbillon/timing/inventory"
	"tourbillon/timing/stdtime"
)

func TestCompare(t *testing.T) {
	const ice, dtls = "github.com/pion/ice/v4", "github.com/pion/dtls/v3"
	copied := &debug.Module{Path: "./.retimed/" + ice}
	linked := func(replaced *debug.Module) *debug.Module {
		return &debug.Module{Path: ice, Version: "v4.4.2", Replace: replaced}
	}
	other := &debug.Module{Path: "example.org/other", Version: "v1.0.0"}
	registered := stdtime.Module{Path: ice, Version: "v4.4.2", Sum: "1"}
	cases := []struct {
		name       string
		linked     []*debug.Module
		registered []stdtime.Module
		state      string
		problem    string
	}{
		{"re-timed", []*debug.Module{linked(copied), other}, []stdtime.Module{registered}, Retimed, ""},
		{"as published", []*debug.Module{linked(nil), other}, nil, PackageTime, ""},
		{"another version of the published one", []*debug.Module{linked(&debug.Module{Path: "example.org/fork", Version: "v4.4.3"})}, nil, PackageTime, ""},
		{"an old copy", []*debug.Module{linked(copied)}, []stdtime.Module{{Path: ice, Version: "v4.4.1"}}, Stale, "is of v4.4.1 and the build list names v4.4.2"},
		{"a copy that says nothing", []*debug.Module{linked(copied)}, nil, Stale, "no re-timed copy"},
		{"a copy beside the build list", []*debug.Module{linked(nil)}, []stdtime.Module{registered}, Stale, "does not name"},
		{"half", []*debug.Module{linked(copied), {Path: dtls, Version: "v3.1.15"}}, []stdtime.Module{registered}, Retimed, "half a re-timed build: " + dtls + " on package time"},
	}
	for _, c := range cases {
		states, problems := compare(c.linked, c.registered)
		if states[ice] != c.state || states["example.org/other"] != "" {
			t.Errorf("%s: states %v, want %s to be %s", c.name, states, ice, c.state)
		}
		if said := errors.Join(problems...); c.problem == "" && said != nil || c.problem != "" && (said == nil || !strings.Contains(said.Error(), c.problem)) {
			t.Errorf("%s: problems %v, want %q", c.name, said, c.problem)
		}
	}
}

func TestCheckInventory(t *testing.T) {
	registered := []stdtime.Module{{Path: "github.com/pion/ice/v4", Version: "v4.4.2", Sum: "1"}}
	recorded := func(sum string) []byte {
		data, err := json.Marshal(inventory.Recorded{
			Sums:      map[string]string{"github.com/pion/ice/v4": sum},
			Inventory: inventory.Inventory{Carried: []inventory.Carried{{Module: "github.com/pion/ice/v4", File: "agent.go"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if listing, err := checkInventory(recorded("1"), registered); err != nil || len(listing.Carried) != 1 {
		t.Errorf("its own inventory: %+v, %v", listing, err)
	}
	var foreign *foreignInventoryError
	if _, err := checkInventory(recorded("2"), registered); !errors.As(err, &foreign) {
		t.Errorf("an inventory of other copies: %v", err)
	}
	cases := []struct {
		name       string
		data       []byte
		registered []stdtime.Module
		want       string
	}{
		{"a build with pion as published", recorded("1"), nil, "pion as published"},
		{"a build without inventory", nil, registered, "run make build"},
		{"a torn inventory", []byte("{"), registered, "run make build"},
	}
	for _, c := range cases {
		_, err := checkInventory(c.data, c.registered)
		var none *NoInventoryError
		if !errors.As(err, &none) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a NoInventoryError with %q", c.name, err, c.want)
		}
	}
}
