package appliance

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"tourbillon/appliance/config"
)

// reloaded are the settings that a reload puts into force; others want a restart.
var reloaded = []string{"turn.secrets", "turn.users"}

// Reload is how Run is told to read keys and secrets again; the zero value is never.
type Reload struct {
	// Wanted gives a word for each time (SIGHUP).
	Wanted <-chan os.Signal
	// Config reads the configuration again, by the same file and options.
	Config func() (config.Config, error)
}

// reload reads the key file of signaling.token_keys, turn.secrets and turn.users again. What cannot be read stays as it
// was, and the log names it.
//
// Who has joined by a token whose key was withdrawn stays: a token is asked for at the join and never again, the session
// that it gave is ours and is renewed without it for signaling.session_ttl, and a rotation that threw everybody out
// would be an outage. Deleting the session key in the state folder and restarting ends all sessions. Credentials of a TURN secret
// that is gone open nothing any more, and allocations made with them cannot be refreshed.
func (a *appliance) reload(r Reload) {
	a.notify(reloadingNotice())
	err := errors.Join(a.reloadTokenKeys(), a.reloadCredentials(r))
	a.reloadFailed.Store(err != nil)
	if err == nil {
		a.log.Info("keys and secrets were read again")
	}
	a.notify(daemon.SdNotifyReady)
}

// reloadingNotice is what systemd is told before a reload (sd_notify(3)), with the instant by which Type=notify-reload
// tells it from an earlier one.
func reloadingNotice() string {
	return strings.TrimSuffix(daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec(), "\n")
}

func (a *appliance) reloadTokenKeys() error {
	file := a.config.Signaling.TokenKeys
	if file == "" {
		return nil
	}
	err := a.verifier.Reload()
	if err != nil {
		a.log.Error("the token keys stay as they were", "setting", "signaling.token_keys", "file", file, "error", err)
	}
	return err
}

func (a *appliance) reloadCredentials(r Reload) error {
	if r.Config == nil {
		return nil
	}
	fresh, err := r.Config()
	if err != nil {
		logProblems(a.log, err)
		return err
	}
	if err := a.turn.SetCredentials(TURNSecrets(fresh, a.secrets), turnUsers(fresh.TURN.Users)); err != nil {
		a.log.Error("the TURN secrets stay as they were", "setting", "turn.secrets", "error", err)
		return err
	}
	changed := slices.DeleteFunc(config.Changed(a.config, fresh), func(key string) bool { return slices.Contains(reloaded, key) })
	if len(changed) > 0 {
		a.log.Warn("settings that changed want a restart", "settings", strings.Join(changed, " "))
	}
	return nil
}

// logProblems writes a line for each thing that is wrong with a configuration.
func logProblems(log *slog.Logger, err error) {
	const stays = "the configuration stays as it was"
	var wrong *config.Error
	if !errors.As(err, &wrong) {
		log.Error(stays, "error", err)
		return
	}
	for _, p := range wrong.Problems {
		log.Error(stays, "setting", p.Where, "error", p.Wrong, "remedy", p.Remedy)
	}
}
