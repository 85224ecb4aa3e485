package turn

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/pion/logging"

	"tourbillon/timing"
)

// maxShownBytes bounds attacker text in logs and on the admin page.
const maxShownBytes = 256

// printable makes text that a client chose fit to be shown: valid UTF-8 without control characters, at most 256 bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) { // Cf: text direction overrides and their like.
			return -1
		}
		return r
	}, strings.ToValidUTF8(cutAtRune(s, 4*maxShownBytes), "\uFFFD"))
	return cutAtRune(s, maxShownBytes)
}

// pionLogs hands pion's lines to slog. pion logs a line for whatever a stranger sends, so levels are lowered (its
// Info is our Debug, its Error our Warn), each level of each scope passes one line per window, and a level that the
// handler does not want costs no formatting.
type pionLogs struct {
	log   *slog.Logger
	clock timing.Clock
}

// NewLogger implements [logging.LoggerFactory].
func (f pionLogs) NewLogger(scope string) logging.LeveledLogger {
	return &pionLogger{log: f.log.With("scope", scope), clock: f.clock}
}

type pionLogger struct {
	log         *slog.Logger
	clock       timing.Clock
	debug, warn logGate
}

func (l *pionLogger) Trace(string)          {}
func (l *pionLogger) Tracef(string, ...any) {}

// Debug lines come once per packet and repeat what the counters say.
func (l *pionLogger) Debug(string)          {}
func (l *pionLogger) Debugf(string, ...any) {}

func (l *pionLogger) Info(msg string) { l.write(slog.LevelDebug, &l.debug, "%s", msg) }
func (l *pionLogger) Infof(format string, args ...any) {
	l.write(slog.LevelDebug, &l.debug, format, args...)
}
func (l *pionLogger) Warn(msg string) { l.write(slog.LevelWarn, &l.warn, "%s", msg) }
func (l *pionLogger) Warnf(format string, args ...any) {
	l.write(slog.LevelWarn, &l.warn, format, args...)
}
func (l *pionLogger) Error(msg string) { l.write(slog.LevelWarn, &l.warn, "%s", msg) }
func (l *pionLogger) Errorf(format string, args ...any) {
	l.write(slog.LevelWarn, &l.warn, format, args...)
}

func (l *pionLogger) write(level slog.Level, gate *logGate, format string, args ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	suppressed, ok := gate.pass(l.clock.Now())
	if !ok {
		return
	}
	text := printable(fmt.Sprintf(format, args...))
	l.log.Log(ctx, level, "pion/dtls", "text", text, "suppressed", suppressed)
}
