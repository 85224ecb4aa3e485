package observe

import (
	"embed"
	"encoding/json"
	"fmt"

	"tourbillon/timing/inventory"
	"tourbillon/timing/stdtime"
)

// timers holds inventory.json, which timing/retime writes there, or nothing.
//
//go:embed all:timers
var timers embed.FS

const inventoryFile = "timers/inventory.json"

// NoInventoryError says why this binary cannot list its timers.
type NoInventoryError struct{ Reason string }

func (e *NoInventoryError) Error() string {
	return "no inventory of timers in this binary: " + e.Reason
}

// foreignInventoryError says that the embedded inventory was made from other copies than the linked ones.
type foreignInventoryError struct{ path string }

func (e *foreignInventoryError) Error() string {
	return e.path + ": the linked copy is not the one that the inventory of timers was made from: run make build"
}

// ReadTimers returns the list of every place in this program that arms a timer, as the build recorded it. It fails with
// a [NoInventoryError] where there is none: in a build that is not re-timed, all timers of pion are package time's.
func ReadTimers() (inventory.Inventory, error) { return inventoryOf(stdtime.Modules()) }

// inventoryOf reads the embedded inventory and holds it against the copies that are linked.
func inventoryOf(registered []stdtime.Module) (inventory.Inventory, error) {
	data, err := timers.ReadFile(inventoryFile)
	if err != nil {
		data = nil
	}
	return checkInventory(data, registered)
}

func checkInventory(data []byte, registered []stdtime.Module) (inventory.Inventory, error) {
	if len(registered) == 0 {
		return inventory.Inventory{}, &NoInventoryError{"it was built with pion as published, whose timers are all package time's; make build makes a re-timed one"}
	}
	if data == nil {
		return inventory.Inventory{}, &NoInventoryError{"it was built without one: run make build"}
	}
	var recorded inventory.Recorded
	if err := json.Unmarshal(data, &recorded); err != nil {
		return inventory.Inventory{}, &NoInventoryError{fmt.Sprintf("%v: run make build", err)}
	}
	for _, m := range registered {
		if recorded.Sums[m.Path] != m.Sum {
			return inventory.Inventory{}, &foreignInventoryError{m.Path}
		}
	}
	return recorded.Inventory, nil
}
