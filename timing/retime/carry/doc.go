// Package carry copies Go modules onto the injected clock: it lists the modules that go.mod pins, copies their files
// with the imports of package time (and of package context, where it arms timers) turned to timing/stdtime and
// timing/stdcontext, and has each copied package register its module's version and content hash.
//
// The same modules give the same bytes. What cannot be carried (C code, a linkname or assembly that reaches the clock
// past any import) is an [UncarriableError] with file, line and reason.
package carry

import "embed"

// Sources are the package's own, so that a run can tell that the package changed.
//
//go:embed *.go
var Sources embed.FS
