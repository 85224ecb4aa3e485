package probe

import (
	"context"
	"crypto/tls"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

const testSecret = "tourbillon-test-secret"

// patience bounds every wait of a test; none comes near it unless something is broken.
const patience = timingtest.Patience

// quick are options for servers on loopback that answer at once.
func quick() Options {
	issued := turn.NewIssuer([]byte(testSecret), time.Hour).Issue("probe", time.Now())
	return Options{
		User: issued.Username, Password: issued.Password, Count: 5, Interval: MinInterval, Timeout: patience,
		Expiry: func(user string) (time.Time, bool) {
			name, err := turn.ParseUsername(user)
			return time.Unix(name.Expires, 0), err == nil
		},
	}
}

// serve starts our server with every transport and returns where each listens, and the authority that clients need.
func serve(t *testing.T, change func(*turn.Config)) (map[turn.Transport]netip.AddrPort, Options) {
	t.Helper()
	certificate, leaf := certify(t, "turn.example", nil)
	cfg := turn.Config{
		UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, TLS: []string{"127.0.0.1:0"},
		Secrets: [][]byte{[]byte(testSecret)}, Limits: turn.LimitsOff(),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	if change != nil {
		change(&cfg)
	}
	server, err := turn.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	at := map[turn.Transport]netip.AddrPort{}
	for _, a := range server.Addresses() {
		at[a.Transport] = a.Addr
	}
	o := quick()
	o.Roots, o.Wall = pool(leaf), func() time.Time { return epoch }
	return at, o
}

func target(scheme Scheme, at netip.AddrPort, over Transport) Target {
	return Target{scheme, at.Addr().String(), at.Port(), over}
}

func only(t *testing.T, targets []Target, o Options) Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	report := Run(ctx, targets, o)
	if report.OK != report.Servers[0].OK {
		t.Errorf("ok %v of a server that is %v", report.OK, report.Servers[0].OK)
	}
	return report.Servers[0]
}

// TestOwnServer takes every step over every transport.
func TestOwnServer(t *testing.T) {
	at, o := serve(t, nil)
	for _, c := range []Target{
		target(TURN, at[turn.UDP], UDP), target(TURN, at[turn.TCP], TCP), target(TURNS, at[turn.TLS], TLS),
	} {
		t.Run(string(c.Transport), func(t *testing.T) { checkGood(t, only(t, []Target{c}, o)) })
	}
}

// checkGood wants a relay with nothing wrong and every packet back.
func checkGood(t *testing.T, s Server) {
	t.Helper()
	if !s.OK || len(s.Problems) > 0 {
		t.Fatalf("%+v", problems(s))
	}
	for i, name := range []string{stepConnect, stepBinding, stepAllocate, stepEcho, stepRelease} {
		if len(s.Steps) <= i || s.Steps[i].Name != name || s.Steps[i].Status != StatusOK {
			t.Fatalf("steps %+v", s.Steps)
		}
	}
	if s.Mapped != s.Local {
		t.Errorf("mapped %s, local %s", s.Mapped, s.Local)
	}
	a := s.Allocation
	if a.LifetimeS < 1 || a.Peer == "" || len(a.Authentication) < 2 || a.Realm == "" {
		t.Errorf("allocation %+v", a)
	}
	if len(s.Series) != 2 {
		t.Fatalf("%d series", len(s.Series))
	}
	for _, series := range s.Series {
		if series.Received != series.Sent || series.Sent == 0 || series.MinNS <= 0 || series.MeanNS > series.MaxNS {
			t.Errorf("%+v", series)
		}
	}
}

func problems(s Server) (all []Problem) {
	for _, p := range s.Problems {
		all = append(all, *p)
	}
	return all
}

// fails wants a server to fail at a step for a reason.
func fails(t *testing.T, s Server, step, code string) {
	t.Helper()
	if s.OK || len(s.Problems) == 0 {
		t.Fatalf("good: %+v", s)
	}
	last := s.Problems[len(s.Problems)-1]
	if last.Step != step || last.Code != code || last.Remedy == "" {
		t.Errorf("%+v, want %s at %s", problems(s), code, step)
	}
}

func TestOwnServerRefuses(t *testing.T) {
	at, good := serve(t, nil)
	over := target(TURN, at[turn.UDP], UDP)
	o := good
	o.Password, o.Wall = "wrong", time.Now
	fails(t, only(t, []Target{over}, o), stepAllocate, CodeWrongUser)
	o.User, o.Password = "", ""
	fails(t, only(t, []Target{over}, o), stepAllocate, CodeNoUser)

	old := turn.NewIssuer([]byte(testSecret), time.Hour).Issue("probe", time.Now().Add(-2*time.Hour))
	o.User, o.Password = old.Username, old.Password
	fails(t, only(t, []Target{over}, o), stepAllocate, CodeExpired)
}

// TestOwnServerCertificates takes a certificate from nobody that is known, for another name, and for a port without TLS.
func TestOwnServerCertificates(t *testing.T) {
	at, good := serve(t, nil)
	secure := target(TURNS, at[turn.TLS], TLS)
	o := good
	o.Roots = pool()
	fails(t, only(t, []Target{secure}, o), stepConnect, CodeCertificate)
	o.Insecure = true
	if s := only(t, []Target{secure}, o); !s.OK || len(s.Problems) != 1 || s.Certificate.Verified {
		t.Errorf("insecure: %+v", problems(s))
	}
	fails(t, only(t, []Target{target(TURNS, at[turn.TCP], TLS)}, good), stepConnect, CodeNoTLS)
}

// TestOwnServerDeniesPeers has the policy deny what the echo needs: the relay is good all the same.
func TestOwnServerDeniesPeers(t *testing.T) {
	at, o := serve(t, func(c *turn.Config) { c.Limits = turn.Limits{AllocationsPerUser: 1} })
	s := patiently(t, func(timeout time.Duration) Server {
		o.Timeout = timeout // What is dropped has to be waited for.
		return only(t, []Target{target(TURN, at[turn.UDP], UDP)}, o)
	}, func(s Server) bool { return s.OK })
	if !s.OK || s.Steps[3].Status != StatusDenied || s.Steps[3].Name != stepEcho || len(s.Problems) != 1 || s.Problems[0].Code != CodePeerDenied {
		t.Errorf("%+v\n%+v", s.Steps, problems(s))
	}
}

// TestNATOnLoopback names two servers, of which one socket learns that nothing is translated.
func TestNATOnLoopback(t *testing.T) {
	first, o := serve(t, nil)
	second, _ := serve(t, nil)
	o.Count, o.Hairpin = 0, true
	report := Run(t.Context(), []Target{target(STUN, first[turn.UDP], UDP), target(STUN, second[turn.UDP], UDP)}, o)
	if !report.OK || len(report.NAT) != 1 {
		t.Fatalf("%+v", report)
	}
	n := report.NAT[0]
	if n.Mapping != mappingNone || len(n.Mapped) != 2 || n.Hairpin == nil || !*n.Hairpin {
		t.Errorf("%+v", n)
	}
}

// TestThousandProbesLeaveNothing holds the house rule on ports and goroutines; goleak counts the latter at the end.
func TestThousandProbesLeaveNothing(t *testing.T) {
	at, o := serve(t, nil)
	o.Count = 1
	before := openFiles(t)
	for i := range 250 { // Four probes each time.
		for _, c := range []Target{target(STUN, at[turn.UDP], UDP), target(TURN, at[turn.UDP], UDP), target(TURN, at[turn.TCP], TCP), target(TURNS, at[turn.TLS], TLS)} {
			if s := only(t, []Target{c}, o); !s.OK {
				t.Fatal(strconv.Itoa(i), c, problems(s))
			}
		}
	}
	eventually(t, "descriptors back to "+strconv.Itoa(before), func() bool { return openFiles(t) <= before })
}
