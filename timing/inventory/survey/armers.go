package survey

import (
	"go/types"
	"slices"
	"strings"

	"tourbillon/timing/retime/carry"
)

// kind is what a site does.
type kind int

const (
	// onProcessClock arms by what stands in for package time and context: on the injected clock.
	onProcessClock kind = iota + 1
	// onClock arms on a timing.Clock that the code was given.
	onClock
	// onPackageTime arms a timer of the Go runtime.
	onPackageTime
	// onSocket sets a deadline of a socket or file, which the Go runtime's poller keeps.
	onSocket
	// bySetting sets a field that makes the standard library arm a timer.
	bySetting
	// bySystem asks the kernel.
	bySystem
)

// armers are the functions and methods that arm timers, by package; methods are written Type.Method.
var armers = map[string][]string{
	"time":    {"After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick", "Timer.Reset", "Ticker.Reset"},
	"context": {"WithDeadline", "WithDeadlineCause", "WithTimeout", "WithTimeoutCause"},
	"net":     {"DialTimeout"}, "net/http": {"TimeoutHandler"},
	"tourbillon/timing": {"Clock.AfterFunc", "Clock.At", "Timer.Reset", "Timer.ResetAt", "Every", "Wire.SendAt"},
	"syscall":           {"EpollWait", "Nanosleep", "Pselect", "Select", "Setitimer", "SetsockoptTimeval"},
	"golang.org/x/sys/unix": {
		"ClockNanosleep", "EpollWait", "Nanosleep", "Poll", "Ppoll", "Pselect", "Select", "Setitimer", "SetsockoptTimeval", "TimerfdSettime",
	},
}

// armersOf adds the stand-ins, which have the names of what they stand in for.
func armersOf(path string) []string {
	switch path {
	case carry.StdtimePath:
		return armers["time"]
	case carry.StdcontextPath:
		return armers["context"]
	}
	return armers[path]
}

// settings are the fields of the standard library's structs that make it arm timers, by package and type.
var settings = map[string]map[string][]string{
	"net": {"Dialer": {"Timeout", "Deadline", "FallbackDelay", "KeepAlive", "KeepAliveConfig"}, "ListenConfig": {"KeepAlive", "KeepAliveConfig"}},
	"net/http": {
		"Server":      {"ReadTimeout", "ReadHeaderTimeout", "WriteTimeout", "IdleTimeout"},
		"Client":      {"Timeout"},
		"Transport":   {"TLSHandshakeTimeout", "IdleConnTimeout", "ResponseHeaderTimeout", "ExpectContinueTimeout"},
		"HTTP2Config": {"PingTimeout", "SendPingTimeout", "WriteByteTimeout"},
	},
	"os/exec":                {"Cmd": {"WaitDelay"}},
	"golang.org/x/net/http2": {"Transport": {"ReadIdleTimeout", "PingTimeout", "WriteByteTimeout", "IdleConnTimeout"}, "Server": {"IdleTimeout", "ReadIdleTimeout", "PingTimeout", "WriteByteTimeout"}},
}

// deadlineSetters are the methods of sockets and files that set deadlines.
var deadlineSetters = []string{"SetDeadline", "SetReadDeadline", "SetWriteDeadline"}

// callOf tells whether using an object arms a timer, how, and what to call it; kind is 0 if it does not.
func (p *program) callOf(object types.Object) (call string, k kind) {
	if object.Pkg() == nil {
		return "", 0
	}
	if field, ok := object.(*types.Var); ok {
		return p.settingOf(field), bySetting
	}
	function, ok := object.(*types.Func)
	if !ok {
		return "", 0
	}
	path, name := object.Pkg().Path(), nameOf(function)
	switch {
	case slices.Contains(armersOf(path), name):
		return called(path, name), kindOf(path)
	case slices.Contains(deadlineSetters, function.Name()) && p.setsDeadline(function):
		return called(path, name), onSocket
	}
	return "", 0
}

// called is a call in the words of the package that is stood in for: "time.Timer.Reset".
func called(path, name string) string {
	switch path {
	case carry.StdtimePath:
		path = "time"
	case carry.StdcontextPath:
		path = "context"
	}
	return path[strings.LastIndex(path, "/")+1:] + "." + name
}

func kindOf(path string) kind {
	switch path {
	case carry.StdtimePath, carry.StdcontextPath:
		return onProcessClock
	case "tourbillon/timing":
		return onClock
	case "syscall", "golang.org/x/sys/unix":
		return bySystem
	}
	return onPackageTime
}

// nameOf is a function's name, with its receiver's type in front if it is a method.
func nameOf(f *types.Func) string {
	receiver := f.Signature().Recv()
	if receiver == nil {
		return f.Name()
	}
	t := receiver.Type()
	if pointer, ok := types.Unalias(t).(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if named, ok := types.Unalias(t).(*types.Named); ok {
		return named.Obj().Name() + "." + f.Name()
	}
	return "interface." + f.Name()
}

// setsDeadline reports whether a method takes one time.Time and may lead to a socket: those of the standard library
// and those of interfaces. A concrete type outside the standard library is no end: where its method goes on to a
// socket is a place of its own.
func (p *program) setsDeadline(f *types.Func) bool {
	parameters := f.Signature().Params()
	if parameters.Len() != 1 || f.Signature().Recv() == nil {
		return false
	}
	named, ok := types.Unalias(parameters.At(0).Type()).(*types.Named)
	if !ok || named.Obj().Name() != "Time" || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != "time" {
		return false
	}
	declared := p.byPath[f.Pkg().Path()]
	return types.IsInterface(f.Signature().Recv().Type()) || declared != nil && declared.Standard
}

// settingOf names the setting that a field is, "" if it is none.
func (p *program) settingOf(field *types.Var) string {
	if !field.IsField() {
		return ""
	}
	for typeName, fields := range settings[field.Pkg().Path()] {
		owner := field.Pkg().Scope().Lookup(typeName)
		if !slices.Contains(fields, field.Name()) || owner == nil {
			continue
		}
		structure, ok := owner.Type().Underlying().(*types.Struct)
		for i := 0; ok && i < structure.NumFields(); i++ {
			if structure.Field(i) == field {
				return called(field.Pkg().Path(), typeName+"."+field.Name())
			}
		}
	}
	return ""
}
