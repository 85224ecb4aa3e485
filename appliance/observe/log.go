package observe

import (
	"io"
	"log/slog"
)

// NewLog returns a logger that writes one line per event: "json" for machines, anything else as text for people.
func NewLog(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
