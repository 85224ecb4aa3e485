package agent

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggerFactory hands pion's log lines to slog for whoever debugs a path: never above debug, since pion also calls the
// ordinary end of a connection an error, and what matters of it is told by the agent itself.
type loggerFactory struct{ log *slog.Logger }

func (f loggerFactory) NewLogger(scope string) logging.LeveledLogger {
	return pionLogger{f.log.With("component", "pion."+scope)}
}

// levelTrace is below slog's lowest, as pion's trace is below debug.
const levelTrace = slog.LevelDebug - 4

type pionLogger struct{ log *slog.Logger }

func (l pionLogger) line(level slog.Level, text string) { l.log.Log(context.Background(), level, text) }

func (l pionLogger) lineF(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.line(level, fmt.Sprintf(format, args...))
	}
}

func (l pionLogger) Trace(text string)                 { l.line(levelTrace, text) }
func (l pionLogger) Tracef(format string, args ...any) { l.lineF(levelTrace, format, args) }
func (l pionLogger) Debug(text string)                 { l.line(levelTrace, text) }
func (l pionLogger) Debugf(format string, args ...any) { l.lineF(levelTrace, format, args) }
func (l pionLogger) Info(text string)                  { l.line(slog.LevelDebug, text) }
func (l pionLogger) Infof(format string, args ...any)  { l.lineF(slog.LevelDebug, format, args) }
func (l pionLogger) Warn(text string)                  { l.line(slog.LevelDebug, text) }
func (l pionLogger) Warnf(format string, args ...any)  { l.lineF(slog.LevelDebug, format, args) }
func (l pionLogger) Error(text string)                 { l.line(slog.LevelDebug, text) }
func (l pionLogger) Errorf(format string, args ...any) { l.lineF(slog.LevelDebug, format, args) }
