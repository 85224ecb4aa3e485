package turn

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrNoUDPListener is returned by [Server.Ready] when there is no UDP listener to ask.
var ErrNoUDPListener = errors.New("turn: no UDP listener to probe")

// ConfigError is one thing wrong with a [Config]. [Listen] joins all of them.
type ConfigError struct {
	// Field is the key as the operator writes it, such as "turn.realm".
	Field string
	// Problem says what is wrong and what would be right.
	Problem string
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Problem }

// ListenError says that an address could not be bound, and what to do about it.
type ListenError struct {
	// Network is "udp" or "tcp".
	Network string
	// Address is what was asked for, host:port.
	Address string
	// Field is the key that holds the address: "turn.udp", "turn.tcp" or "turn.tls".
	Field string
	// Err is the cause; [errors.Is] with syscall.EADDRINUSE and its like works on a ListenError.
	Err error
}

func (e *ListenError) Error() string {
	cause := e.Err
	if errno := syscall.Errno(0); errors.As(e.Err, &errno) {
		cause = errno
	}
	return fmt.Sprintf("listen %s %s: %v: %s", e.Network, e.Address, cause, e.Remedy())
}

func (e *ListenError) Unwrap() error { return e.Err }

// Remedy is what the operator can do, one clause without a full stop.
func (e *ListenError) Remedy() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "stop the other TURN server (coturn?) or choose another " + e.Field
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return "choose a port above 1023 in " + e.Field + " or grant CAP_NET_BIND_SERVICE"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no interface has this address: correct " + e.Field
	default:
		return "correct " + e.Field + " (host:port)"
	}
}
