package appliance

import (
	"cmp"
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"tourbillon/appliance/config"
	"tourbillon/signaling"
	"tourbillon/turn"
)

// turnRemedies tell, for the settings whose rules are the relay's alone, what would be right.
var turnRemedies = map[string]string{
	"turn.allow_peers":    "take it out of the list; what peers may be reached at is a network such as 192.168.0.0/16",
	"turn.relay_address":  "write the unicast address that peers see, for example 203.0.113.7",
	"turn.relay_bind":     "give a local address of the family of turn.relay_address, or leave it out",
	"turn.relay_address6": "write the IPv6 address that peers see, for example 2001:db8::7, beside turn.relay_address of IPv4",
	"turn.relay_bind6":    "give a local IPv6 address, or leave it out",
}

// JudgeTURN is a [config.Judge] that holds a configuration to the rules that the relay starts by. It touches nothing of
// the machine.
func JudgeTURN(c config.Config, known func(key string) bool) []config.Problem {
	settings := turnSettings(c)
	// The generated secret is good, and the certificate is judged where it is read.
	settings.Secrets = TURNSecrets(c, Secrets{TURN: []byte("generated")})
	if c.TLS.Cert != "" {
		settings.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// What goes with a malformed address cannot be judged.
	if !settings.RelayAddress.IsValid() {
		settings.RelayBind = settings.RelayAddress
	}
	if !settings.RelayAddress6.IsValid() {
		settings.RelayBind6 = settings.RelayAddress6
	}
	return slices.DeleteFunc(turnProblems(settings.Validate()), func(p config.Problem) bool {
		// What has a problem already is judged twice by like rules, but for the prefixes: the malformed are left out above.
		return p.Where != "turn.allow_peers" && known(p.Where)
	})
}

// turnProblems are the problems in an error of the relay's; none in one that is no matter of configuration.
func turnProblems(err error) (problems []config.Problem) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			problems = append(problems, turnProblems(one)...)
		}
		return problems
	}
	var wrong *turn.ConfigError
	switch {
	case err == nil:
		return nil
	case errors.Unwrap(err) != nil:
		return turnProblems(errors.Unwrap(err))
	case errors.As(err, &wrong):
		problem, remedy, _ := strings.Cut(wrong.Problem, ": ")
		remedy = cmp.Or(turnRemedies[wrong.Field], remedy, "correct "+wrong.Field)
		return []config.Problem{{Where: wrong.Field, Wrong: problem, Remedy: remedy}}
	}
	return nil
}

// JudgeFiles is a [config.Judge] that reads the files that the start reads: the certificate, and the keys for tokens.
func JudgeFiles(c config.Config, _ func(key string) bool) (problems []config.Problem) {
	if c.TLS.Cert != "" && c.TLS.Key != "" {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			problems = append(problems, certificateProblem(err))
		}
	}
	generated := slices.Repeat([]byte{0}, 32) // In place of the one in the state folder, which is good.
	if _, err := signaling.NewVerifier(verifierConfig(c, generated)); err != nil {
		problems = append(problems, tokenKeysProblem(err))
	}
	return problems
}

func certificateProblem(err error) config.Problem {
	return config.Problem{
		Where: "tls", Wrong: err.Error(), Remedy: "give PEM files of a certificate chain and its key that this user can read",
	}
}

func tokenKeysProblem(err error) config.Problem {
	return config.Problem{
		Where: "signaling.token_keys", Wrong: err.Error(), Remedy: "give a JWK Set file that this user can read, or none",
	}
}
