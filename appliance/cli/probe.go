package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"tourbillon/appliance"
	"tourbillon/turn"
	"tourbillon/turn/probe"
)

// probeOptions is a parsed command line of `probe`.
type probeOptions struct {
	probe.Options
	targets []probe.Target
	secret  string
	clock   string
	asJSON  bool
}

// probeServers asks servers whether they work.
func probeServers(ctx context.Context, args []string, out IO) error {
	o, err := parseProbe(args)
	if err != nil {
		return err
	}
	clock := appliance.OpenClock(o.clock)
	defer clock.Close()
	o.Clock, o.Expiry = clock, usernameExpiry
	if o.secret != "" {
		issued := turn.NewIssuer([]byte(o.secret), turn.DefaultTTL).Issue(o.User, time.Now())
		o.User, o.Password = issued.Username, issued.Password
	}
	report := probe.Run(ctx, o.targets, o.Options)
	if o.asJSON {
		err = writeJSON(out.Out, report)
	} else {
		err = report.WriteText(out.Out)
	}
	if err != nil {
		return err
	}
	return verdict(report)
}

// interruptedError is the error behind exit code 130: a probe that a signal ended.
type interruptedError struct{ good, failed, open int }

func (e *interruptedError) Error() string {
	return fmt.Sprintf("interrupted: servers good: %d, failed: %d, not finished: %d", e.good, e.failed, e.open)
}

// verdict is the error behind exit codes 130 and 1; nil where every server is good.
func verdict(report probe.Report) error {
	count := map[probe.State]int{}
	for _, s := range report.Servers {
		count[s.State]++
	}
	failed := count[probe.StateFailed]
	switch {
	case report.Interrupted:
		return &interruptedError{count[probe.StateGood], failed, count[probe.StateInterrupted]}
	case failed > 0:
		return fmt.Errorf("%d of %d servers failed", failed, len(report.Servers))
	}
	return nil
}

// usernameExpiry reads the time out of a user name of the shared-secret form.
func usernameExpiry(user string) (expires time.Time, dated bool) {
	name, err := turn.ParseUsername(user)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(name.Expires, 0), true
}

func parseProbe(args []string) (o probeOptions, err error) {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&o.User, "user", "", "")
	password := secretOption{name: "pass", variable: "TOURBILLON_TURN_PASSWORD", credential: "turn-password"}
	secret := secretOption{name: "secret", variable: "TOURBILLON_TURN_SECRET", credential: "turn-secret"}
	for _, s := range []*secretOption{&password, &secret} {
		flags.StringVar(&s.value, s.name, "", "")
		flags.StringVar(&s.file, s.name+"-file", "", "")
	}
	flags.StringVar(&password.file, "password-file", "", "")
	flags.IntVar(&o.Count, "count", probe.DefaultCount, "")
	flags.DurationVar(&o.Interval, "interval", probe.DefaultInterval, "")
	flags.Float64Var(&o.MaxLoss, "max-loss", probe.DefaultMaxLoss, "")
	flags.DurationVar(&o.Timeout, "timeout", probe.DefaultTimeout, "")
	flags.BoolVar(&o.Insecure, "insecure", false, "")
	flags.BoolVar(&o.Hairpin, "hairpin", false, "")
	flags.StringVar(&o.clock, "clock", appliance.ClockHRTimer, "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	urls, err := parseMixed(flags, args)
	if err != nil {
		return o, &usageError{err.Error()}
	}
	for _, url := range urls {
		target, err := probe.ParseURL(url)
		if err != nil {
			return o, &usageError{err.Error()}
		}
		o.targets = append(o.targets, target)
	}
	if err := o.login(password, secret); err != nil {
		return o, err
	}
	if wrong := o.wrong(); wrong != "" {
		return o, &usageError{wrong}
	}
	return o, nil
}

// login takes the secrets from the command line, else from where it need not hold them: a password for the user that is
// named, or a shared secret.
func (o *probeOptions) login(password, secret secretOption) (err error) {
	if password.given() || secret.given() {
		var problem error
		o.Password, err = password.resolve()
		o.secret, problem = secret.resolve()
		return errors.Join(err, problem)
	}
	if o.User != "" {
		if o.Password, err = password.ambient(); err != nil || o.Password != "" {
			return err
		}
	}
	o.secret, err = secret.ambient()
	return err
}

// parseMixed parses options that may stand before, between and behind the arguments, which it returns.
func parseMixed(flags *flag.FlagSet, args []string) (arguments []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			return arguments, nil
		}
		arguments, args = append(arguments, args[0]), args[1:]
	}
}

// wrong says what cannot be carried out.
func (o *probeOptions) wrong() string {
	switch {
	case len(o.targets) == 0:
		return "probe wants at least one URL, such as stun:HOST or turn:HOST?transport=udp"
	case o.secret != "" && o.Password != "":
		return "--secret with --pass: give one of the two"
	case (o.User == "") != (o.Password == "") && o.secret == "":
		return "--user without a password or the other way round: give --user and --password-file, or --secret-file"
	case o.Count < 0 || o.Count > probe.MaxCount:
		return fmt.Sprintf("--count %d: from 0 to %d", o.Count, probe.MaxCount)
	case !(o.MaxLoss >= 0 && o.MaxLoss <= 100):
		return fmt.Sprintf("--max-loss %v: from 0 to 100 percent", o.MaxLoss)
	case o.Interval < probe.MinInterval || o.Interval > probe.MaxInterval:
		return fmt.Sprintf("--interval %v: from %v to %v", o.Interval, probe.MinInterval, probe.MaxInterval)
	case o.Timeout < probe.MinInterval || o.Timeout > probe.MaxTimeout:
		return fmt.Sprintf("--timeout %v: from %v to %v", o.Timeout, probe.MinInterval, probe.MaxTimeout)
	case o.clock != appliance.ClockHRTimer && o.clock != appliance.ClockRuntime:
		return fmt.Sprintf("--clock %q: hrtimer or runtime", o.clock)
	}
	return ""
}
