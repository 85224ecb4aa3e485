//go:build linux

package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// UsageError is a command line of `bench turn` that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }

// Names of the loads that a server of ours may run beside relaying.
const (
	loadIdle     = "idle"
	loadServer50 = "server-50"
)

// options is a parsed command line.
type options struct {
	arms                       []string
	clients, size, rate        int
	inFlight                   int
	duration, warmUp, allocate time.Duration
	idle                       int
	transport, load            string
	server                     string
	at                         netip.AddrPort // what server names, once it is resolved
	login                      login
	pid, runs                  int
	asJSON, suite              bool
	coturn                     string
}

// parseOptions reads the arguments of `bench turn`.
func parseOptions(args []string) (options, error) {
	var o options
	arms := strings.Join([]string{armTourbillon, armPion, armCoturn}, ",")
	flags := flag.NewFlagSet("bench turn", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&arms, "arm", arms, "")
	flags.IntVar(&o.clients, "clients", 50, "")
	flags.IntVar(&o.size, "size", 1000, "")
	flags.IntVar(&o.rate, "rate", 200, "")
	flags.IntVar(&o.inFlight, "in-flight", 16, "")
	flags.DurationVar(&o.duration, "duration", 20*time.Second, "")
	flags.DurationVar(&o.warmUp, "warm-up", 2*time.Second, "")
	flags.DurationVar(&o.allocate, "allocate", 2*time.Second, "")
	flags.IntVar(&o.idle, "idle", 0, "")
	flags.StringVar(&o.transport, "transport", "udp", "")
	flags.StringVar(&o.load, "load", loadIdle, "")
	flags.StringVar(&o.server, "server", "", "")
	flags.StringVar(&o.login.User, "user", "", "")
	flags.StringVar(&o.login.Password, "pass", "", "")
	flags.IntVar(&o.pid, "pid", 0, "")
	flags.IntVar(&o.runs, "runs", 1, "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	flags.BoolVar(&o.suite, "suite", false, "")
	flags.StringVar(&o.coturn, "coturn", "turnserver", "")
	if err := flags.Parse(args); err != nil {
		return o, &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, &UsageError{fmt.Sprintf("bench turn takes no argument %q", rest[0]), "options begin with --"}
	}
	if o.suite && !given(flags, "runs") {
		o.runs = suiteRuns
	}
	if o.suite && !given(flags, "duration") {
		o.duration = suiteDuration
	}
	o.arms = strings.Split(arms, ",")
	if o.server != "" {
		o.arms = []string{armAttached}
	}
	return o, o.validate()
}

func given(flags *flag.FlagSet, name string) (yes bool) {
	flags.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

func (o *options) validate() error {
	for _, bound := range []struct {
		name           string
		value, low, hi int
	}{
		{"clients", o.clients, 1, maxClients}, {"size", o.size, minSize, maxSize}, {"rate", o.rate, 0, maxRate},
		{"in-flight", o.inFlight, 1, 1024}, {"idle", o.idle, 0, maxAllocs}, {"runs", o.runs, 1, 1000},
		{"pid", o.pid, 0, 1 << 30},
	} {
		if bound.value < bound.low || bound.value > bound.hi {
			return &UsageError{fmt.Sprintf("--%s %d", bound.name, bound.value), fmt.Sprintf("from %d to %d", bound.low, bound.hi)}
		}
	}
	for name, d := range map[string]time.Duration{"duration": o.duration, "warm-up": o.warmUp, "allocate": o.allocate} {
		if d < 0 || d > maxDuration {
			return &UsageError{fmt.Sprintf("--%s %v", name, d), fmt.Sprintf("from 0 to %v", maxDuration)}
		}
	}
	if traffic := o.warmUp + o.duration; traffic > maxTraffic {
		return &UsageError{
			fmt.Sprintf("--warm-up and --duration of %v together", traffic),
			fmt.Sprintf("at most %v: permissions end after 5 minutes, and are not refreshed", maxTraffic),
		}
	}
	if samples := int64(o.clients) * int64(o.rate) * int64(o.duration/time.Second); samples > maxSamples {
		return &UsageError{fmt.Sprintf("%d messages in a run", samples), fmt.Sprintf("at most %d", maxSamples)}
	}
	return o.validateNames()
}

func (o *options) validateNames() error {
	known := []string{armTourbillon, armPion, armCoturn, armAttached}
	for _, arm := range o.arms {
		if !slices.Contains(known, arm) || arm == armAttached && o.server == "" {
			return &UsageError{fmt.Sprintf("no arm %q", arm), "one of " + strings.Join(known[:3], ", ")}
		}
	}
	if !slices.Contains([]string{"udp", "tcp", "tls"}, o.transport) {
		return &UsageError{fmt.Sprintf("--transport %q", o.transport), "udp, tcp or tls"}
	}
	if !slices.Contains([]string{loadIdle, loadServer50}, o.load) {
		return &UsageError{fmt.Sprintf("--load %q", o.load), loadIdle + " or " + loadServer50}
	}
	if o.server == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(o.server)
	number, portErr := strconv.ParseUint(port, 10, 16)
	ip, ipErr := netip.ParseAddr(host)
	switch {
	case err != nil || portErr != nil || number == 0 || host == "":
		return &UsageError{fmt.Sprintf("--server %q", o.server), "write HOST:PORT with a name or an IPv4 address"}
	case ipErr == nil && !ip.Unmap().Is4():
		return &UsageError{fmt.Sprintf("--server %q", o.server), "IPv6 is not measured; give a name or an IPv4 address"}
	case o.login.User == "" || o.login.Password == "":
		return &UsageError{"--server without --user and --pass", "give credentials, such as `tourbillon credentials turn` prints"}
	case o.suite:
		return &UsageError{"--suite with --server", "one of the two"}
	}
	return nil
}

// resolve finds the IPv4 address of --server, if there is one.
func (o *options) resolve(ctx context.Context) error {
	if o.server == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(o.server)
	if err != nil {
		return &UsageError{fmt.Sprintf("--server %q", o.server), err.Error()}
	}
	number, _ := strconv.ParseUint(port, 10, 16) // Validated with the options.
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addresses) == 0 {
		return &UsageError{
			fmt.Sprintf("--server %q: %v", o.server, err), "IPv6 is not measured; give an IPv4 address or a name that has one",
		}
	}
	o.at = netip.AddrPortFrom(addresses[0].Unmap(), uint16(number))
	return nil
}
