package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"tourbillon/timing"
)

// notify tells systemd; without a NOTIFY_SOCKET it does nothing.
func (a *appliance) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("systemd was not told", "state", state, "error", err)
	}
}

// watchdog feeds systemd's watchdog at half its period, each time after a self-check.
type watchdog struct{ periodic *timing.Periodic }

func (a *appliance) openWatchdog() error {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read systemd's watchdog period: %w", err)
	}
	if period == 0 {
		return nil
	}
	clock := a.meter.Clock("systemd.watchdog", a.clock)
	a.watchdog = &watchdog{timing.Every(clock, clock.Now().Add(period/2), period/2, func(timing.Tick) { a.beat(period / 2) })}
	a.onClose(func(context.Context) error {
		a.watchdog.periodic.StopAndWait()
		return nil
	})
	return nil
}

func (a *appliance) beat(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := a.selfCheck(ctx); err != nil {
		a.log.Error("self-check failed: the watchdog is not fed", "error", err)
		return
	}
	a.notify("WATCHDOG=1")
}

// selfCheck asks our own listeners as a client would: a STUN Binding request and an HTTP request, each answered.
func (a *appliance) selfCheck(ctx context.Context) error {
	return errors.Join(a.turnAnswers(ctx), a.httpAnswers(ctx))
}

func (a *appliance) turnAnswers(ctx context.Context) error {
	if len(a.config.TURN.UDP) == 0 {
		return nil
	}
	return a.turn.Ready(ctx)
}

func (a *appliance) httpAnswers(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
	if err != nil {
		return err
	}
	response, err := a.public.ask(request)
	if err != nil {
		return fmt.Errorf("ask our own HTTP listener: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("our own HTTP listener answers %s", response.Status)
	}
	return nil
}
