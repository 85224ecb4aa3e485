// Package inventory is the list of every place in the linked program that arms a timer: on the injected clock
// (carried), or past it with the reason why (uncarried). Package survey makes it from the sources, the build embeds it,
// `tourbillon version --timers` prints it.
package inventory

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Carried is a place that arms timers on the injected clock.
type Carried struct {
	// Module is the module's path, File the file relative to the module; the line is that of the module as published.
	Module string `json:"module"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	// Call is what is called, in the words of the standard library where it stands in for that.
	Call string `json:"call"`
	// Label is what lateness is recorded under, Tier the class of clock.
	Label string `json:"label"`
	Tier  string `json:"tier"`
}

// Uncarried is a place whose timers run on no injected clock.
type Uncarried struct {
	Module string `json:"module"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Call   string `json:"call"`
	// Reason is why that is right; it begins with NotReviewed where nobody has judged it.
	Reason string `json:"reason"`
}

// NotReviewed begins the reason of a place that the review knows nothing of. A test fails on it.
const NotReviewed = "not reviewed"

// Inventory is the list, each part in the order of module, file and line.
type Inventory struct {
	Carried   []Carried   `json:"carried"`
	Uncarried []Uncarried `json:"uncarried"`
}

// Recorded is an inventory with what tells the build that it is of.
type Recorded struct {
	// Input names the sources that the inventory was made from, Sums the content hashes of the re-timed modules.
	Input string            `json:"input"`
	Sums  map[string]string `json:"sums"`
	Inventory
}

// Print writes the inventory for people, a heading per module.
func (i Inventory) Print(w io.Writer) {
	fmt.Fprintf(w, "%d places arm timers on the injected clock:\n", len(i.Carried))
	module := ""
	for _, c := range i.Carried {
		if c.Module != module {
			module = c.Module
			fmt.Fprintf(w, "\n%s\n", module)
		}
		fmt.Fprintf(w, "  %-52s %-24s %-28s %s\n", fmt.Sprintf("%s:%d", c.File, c.Line), c.Call, c.Label, c.Tier)
	}
	fmt.Fprintf(w, "\n%d places arm timers past it:\n", len(i.Uncarried))
	i.printUncarried(w)
}

// printUncarried groups the places by module and reason.
func (i Inventory) printUncarried(w io.Writer) {
	groups := map[[2]string][]string{}
	for _, u := range i.Uncarried {
		key := [2]string{u.Module, u.Reason}
		place := u.Call
		if u.File != "" {
			place = fmt.Sprintf("%s:%d %s", u.File, u.Line, u.Call)
		}
		groups[key] = append(groups[key], place)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
	for _, key := range keys {
		fmt.Fprintf(w, "\n%s: %s\n  %s\n", key[0], key[1], strings.Join(groups[key], "\n  "))
	}
}
