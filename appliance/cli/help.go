package cli

import (
	"fmt"
	"io"
	"strings"

	"tourbillon/turn/probe"
)

// help prints what is asked about: `help COMMAND` and `COMMAND --help` a command of its own options, else all.
func help(w io.Writer, name string, args []string) {
	words := args
	if name != "help" {
		words = append([]string{name}, args...)
	}
	switch {
	case len(words) > 0 && words[0] == "probe":
		probeUsage(w)
		return
	case len(words) > 1 && words[0] == "bench":
		if text := section(words[0] + " " + words[1] + ":"); text != "" {
			fmt.Fprint(w, "tourbillon ", text)
			return
		}
	}
	usage(w)
}

// section is the part of the usage under a heading; empty where there is none.
func section(heading string) string {
	var all, part strings.Builder
	usage(&all)
	for line := range strings.Lines(all.String()) {
		if strings.HasPrefix(line, heading) || part.Len() > 0 && strings.HasPrefix(line, " ") {
			part.WriteString(line)
		} else if part.Len() > 0 {
			break
		}
	}
	return part.String()
}

// probeUsage is the manual of `probe`.
func probeUsage(w io.Writer) {
	fmt.Fprintf(w, `Usage: tourbillon probe URL... [OPTIONS]

Asks STUN and TURN servers, of any make, whether they work and how well, one after another: connect, binding, allocate, an
echo through the relay, release; and over UDP what NAT stands between. Every problem is told with its remedy.

URLs:
  stun:HOST[:PORT]                  STUN over UDP; port %[1]d unless told
  stuns:HOST[:PORT]                 STUN over TLS; port %[2]d
  turn:HOST[:PORT][?transport=udp]  TURN over UDP, or with ?transport=tcp over TCP; port %[1]d
  turns:HOST[:PORT]                 TURN over TLS; port %[2]d
  HOST is a name, an IPv4 address, or an IPv6 address in brackets. Of a name with several addresses the first that works is
  taken, and those that do not are noted.

Credentials, which turn: and turns: want (what stands on a command line, every user of the machine can read):
  --user NAME            with its password:
  --password-file FILE   a file of one line, also --pass-file; or $TOURBILLON_TURN_PASSWORD, or turn-password in
                         $CREDENTIALS_DIRECTORY (systemd), or --pass PASSWORD
  --secret-file FILE     the secret that the server shares, to make credentials of, for --user if that is given; or
                         $TOURBILLON_TURN_SECRET, or turn-secret in $CREDENTIALS_DIRECTORY, or --secret SECRET

Options (durations are written as 500ms, 5s, 1m):
  --count N              packets of a series for round trip, jitter and loss, at most %[3]d; 0: none (default %[4]d)
  --interval DURATION    from one packet of a series to the next, %[5]v to %[6]v (default %[7]v)
  --max-loss PERCENT     loss of a series above which the server counts as failed, 0 to 100 (default %[8]d: one packet of
                         %[4]d may be lost); a series that is lost whole always fails it
  --timeout DURATION     how long each step may take, %[5]v to %[9]v (default %[10]v)
  --insecure             go on after a bad certificate, which then is a note (default: stop)
  --hairpin              see whether packets to the own mapped address come back (default: do not)
  --clock CLOCK          what times the packets: hrtimer or runtime (default hrtimer)
  --json                 for machines; each problem has a stable code

Exit codes:
  %[11]d    every server is good; there may be notes
  %[12]d    a server failed
  %[13]d   the command line is wrong
  %[14]d  interrupted (Ctrl-C or SIGTERM): what was measured until then is printed, and a server that was not through is
       "interrupted", neither good nor failed

Examples:
  tourbillon probe stun:stun.example.org
  tourbillon probe turn:turn.example.org turns:turn.example.org --secret-file /etc/tourbillon/turn-secret
  TOURBILLON_TURN_PASSWORD=... tourbillon probe "turn:[2001:db8::1]?transport=tcp" --user anna --count 100 --interval 20ms
  tourbillon probe turn:turn.example.org --user anna --password-file p --json --max-loss 2 || alert
`, probe.DefaultPort, probe.DefaultTLSPort, probe.MaxCount, probe.DefaultCount, probe.MinInterval, probe.MaxInterval, probe.DefaultInterval,
		probe.DefaultMaxLoss, probe.MaxTimeout, probe.DefaultTimeout, exitOK, exitError, exitUsage, exitInterrupted)
}
