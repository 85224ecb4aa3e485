package signaling

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Capabilities is what a peer may do in its room: a set of the Can values.
type Capabilities uint8

// What a token can allow.
const (
	// CanJoin is to be in the room, to be seen, and to exchange offers, answers and candidates.
	CanJoin Capabilities = 1 << iota
	// CanPublish is to send messages and to change what the others are shown.
	CanPublish
	// CanRestart is to ask peers for an ICE restart.
	CanRestart
	// CanAll is what an open room allows.
	CanAll = CanJoin | CanPublish | CanRestart
)

// capabilityNames are the names in tokens and messages, in the order of the bits.
var capabilityNames = []string{"join", "publish", "restart"}

// ParseCapabilities reads names such as "join" and "publish".
func ParseCapabilities(names []string) (Capabilities, error) {
	var can Capabilities
	for _, name := range names {
		bit := slices.Index(capabilityNames, name)
		if bit < 0 {
			return 0, fmt.Errorf("no capability %s: choose of %s", quote(name), strings.Join(capabilityNames, ", "))
		}
		can |= 1 << bit
	}
	return can, nil
}

func (c Capabilities) has(wanted Capabilities) bool { return c&wanted == wanted }

// names lists the set in the order of the bits.
func (c Capabilities) names() []string {
	names := []string{}
	for bit, name := range capabilityNames {
		if c.has(1 << bit) {
			names = append(names, name)
		}
	}
	return names
}

// String lists the set, separated by commas.
func (c Capabilities) String() string { return strings.Join(c.names(), ",") }

// MarshalJSON writes the list of names.
func (c Capabilities) MarshalJSON() ([]byte, error) { return json.Marshal(c.names()) }

// UnmarshalJSON reads a list of names. What it does not know it passes over: it allows nothing here.
func (c *Capabilities) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	*c = 0
	for _, name := range names {
		known, _ := ParseCapabilities([]string{name})
		*c |= known
	}
	return nil
}
