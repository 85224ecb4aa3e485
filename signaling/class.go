package signaling

import "time"

// Class is a kind of client, which has its own default heartbeat.
type Class string

// The classes of the protocol.
const (
	// ClassBrowser is a page, whose timers are throttled in the background. It is the default.
	ClassBrowser Class = "browser"
	// ClassNative is a program.
	ClassNative Class = "native"
)

func (c Class) known() bool { return c == ClassBrowser || c == ClassNative }

// The bounds of every heartbeat interval (DESIGN section 5).
const (
	minHeartbeat = time.Millisecond
	maxHeartbeat = 5 * time.Second
)
