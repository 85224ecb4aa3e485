package inventory_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tourbillon/timing/inventory"
)

func sample() inventory.Inventory {
	return inventory.Inventory{
		Carried: []inventory.Carried{
			{Module: "a", File: "x.go", Line: 3, Call: "time.NewTimer", Label: "a.one", Tier: "precise"},
			{Module: "a", File: "y.go", Line: 5, Call: "time.After", Label: "a.two", Tier: "coarse"},
		},
		Uncarried: []inventory.Uncarried{
			{Module: "b", File: "x.go", Line: 7, Call: "time.Sleep", Reason: "sleeps"},
			{Module: "b", File: "x.go", Line: 9, Call: "time.Sleep", Reason: "sleeps"},
			{Module: "std", Call: "inside net", Reason: "a class"},
		},
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	sample().Print(&b)
	squeezed := strings.Join(strings.Fields(b.String()), " ")
	want := "2 places arm timers on the injected clock: a x.go:3 time.NewTimer a.one precise y.go:5 time.After a.two coarse " +
		"3 places arm timers past it: b: sleeps x.go:7 time.Sleep x.go:9 time.Sleep std: a class inside net"
	if squeezed != want {
		t.Errorf("printed\n%s\nwant\n%s", squeezed, want)
	}
}

// TestJSON holds the form that scripts read, and that what is recorded at build carries it unchanged.
func TestJSON(t *testing.T) {
	data, err := json.Marshal(sample())
	want := `{"carried":[{"module":"a","file":"x.go","line":3,"call":"time.NewTimer","label":"a.one","tier":"precise"},`
	if err != nil || !strings.HasPrefix(string(data), want) || !strings.Contains(string(data), `"uncarried":[{"module":"b","file":"x.go","line":7,"call":"time.Sleep","reason":"sleeps"},`) {
		t.Errorf("%s, %v", data, err)
	}
	recorded, err := json.Marshal(inventory.Recorded{Input: "1", Inventory: sample()})
	if err != nil || !strings.Contains(string(recorded), string(data[1:len(data)-1])) {
		t.Errorf("%s, %v", recorded, err)
	}
}
