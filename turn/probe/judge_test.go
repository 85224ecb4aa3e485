package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// certify makes a certificate for names around epoch; signer nil signs itself.
func certify(t *testing.T, name string, signer *tls.Certificate, also ...net.IP) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: append(also, net.IPv4(127, 0, 0, 1)),
		NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.AddDate(0, 3, 0), IsCA: true, BasicConstraintsValid: true,
	}
	parent, by := template, any(key)
	if signer != nil {
		parent, by = signer.Leaf, signer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf
}

func pool(of ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range of {
		p.AddCert(c)
	}
	return p
}

func TestJudgeCertificate(t *testing.T) {
	authority, root := certify(t, "authority.example", nil)
	_, issued := certify(t, "turn.example", &authority)
	_, own := certify(t, "turn.example", nil)
	for name, c := range map[string]struct {
		leaf *x509.Certificate
		host string
		now  time.Time
		want string
	}{
		"good":              {issued, "turn.example", epoch, ""},
		"good by address":   {issued, "127.0.0.1", epoch, ""},
		"expired":           {issued, "turn.example", epoch.AddDate(1, 0, 0), "expired at 2030-04-01"},
		"not yet":           {issued, "turn.example", epoch.AddDate(-1, 0, 0), "not valid before 2029-12-31"},
		"wrong name":        {issued, "other.example", epoch, "is for turn.example, 127.0.0.1, not for other.example"},
		"signed by itself":  {own, "turn.example", epoch, "signed by itself"},
		"expires soon":      {issued, "turn.example", epoch.AddDate(0, 2, 25), "expires in"},
		"unknown authority": {nil, "turn.example", epoch, "authority that is not known here: CN=authority.example"},
	} {
		roots, leaf := pool(root), c.leaf
		if leaf == nil {
			leaf, roots = issued, pool(own)
		}
		problem := judgeCertificate(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, c.host, roots, c.now)
		if (problem == nil) != (c.want == "") || problem != nil && (!strings.Contains(problem.What, c.want) || problem.Remedy == "") {
			t.Errorf("%s: %+v, want %q", name, problem, c.want)
		}
		if problem != nil && problem.Fatal == (name == "expires soon") {
			t.Errorf("%s: fatal %v", name, problem.Fatal)
		}
	}
}

func TestJudgeNAT(t *testing.T) {
	at := netip.MustParseAddrPort
	local, a, b, otherPort := at("10.0.0.2:5000"), at("192.0.2.1:3478"), at("192.0.2.2:3478"), at("192.0.2.1:3479")
	one, two := at("198.51.100.1:7"), at("198.51.100.1:8")
	for name, c := range map[string]struct {
		views []seen
		want  string
	}{
		"none":                     {[]seen{{a, local}, {b, local}}, mappingNone},
		"the same":                 {[]seen{{a, one}, {b, one}}, mappingSame},
		"by address":               {[]seen{{a, one}, {b, two}}, mappingDiffers},
		"by port":                  {[]seen{{a, one}, {otherPort, two}}, mappingDiffers},
		"one server":               {[]seen{{a, one}}, mappingUnknown},
		"two ports of one address": {[]seen{{a, one}, {otherPort, one}}, mappingUnknown},
	} {
		n := judgeNAT(local, c.views)
		if n.Mapping != c.want || n.Translated != (c.want != mappingNone) || n.Words == "" || len(n.Mapped) != len(c.views) {
			t.Errorf("%s: %+v, want %s", name, n, c.want)
		}
	}
}

func TestTally(t *testing.T) {
	var q tally
	ms := func(n int) timing.Instant { return timing.Instant(n) * timing.Instant(time.Millisecond) }
	for i := range 4 {
		q.sent(ms(100 * i))
	}
	for _, back := range []struct{ i, at int }{{0, 10}, {2, 220}, {1, 250}, {1, 251}} {
		if !q.received(back.i, ms(back.at)) {
			t.Errorf("packet %d unknown", back.i)
		}
	}
	if q.received(4, 0) || q.received(-1, 0) || q.complete(4) {
		t.Error("knows packets that were not sent")
	}
	got := q.series("binding", "clock")
	// Round trips 10, 20, 150 ms: jitter is 10/16, then (130-10/16)/16 more.
	jitter := 10e6/16 + (130e6-10e6/16)/16
	want := Series{What: "binding", SentBy: "clock", Sent: 4, Received: 3, LossPercent: 25, Duplicates: 1,
		MinNS: 10e6, MeanNS: 60e6, MedianNS: 20e6, MaxNS: 150e6, JitterNS: int64(jitter)}
	if *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}
	if empty := (&tally{}).series("relay", "clock"); empty.LossPercent != 0 || empty.Sent != 0 {
		t.Errorf("%+v", empty)
	}
}

func TestJudgeLoss(t *testing.T) {
	for _, c := range []struct {
		sent, received int
		limit          float64
		code           string
		fatal          bool
	}{
		{10, 10, 0, "", false},
		{10, 9, 10, CodeLoss, false},
		{10, 8, 10, CodeLossLimit, true},
		{10, 9, 0, CodeLossLimit, true},
		{1000, 999, 0.05, CodeLossLimit, true},
		{10, 1, 100, CodeLoss, false},
		{10, 0, 100, CodeLoss, true}, // A dead server is not good whatever is allowed.
		{0, 0, 10, "", false},
	} {
		s := &Series{What: "binding", Sent: c.sent, Received: c.received}
		if c.sent > 0 {
			s.LossPercent = 100 * float64(c.sent-c.received) / float64(c.sent)
		}
		p := judgeLoss(stepBinding, s, c.limit)
		if (p == nil) != (c.code == "") || p != nil && (p.Code != c.code || p.Fatal != c.fatal || p.Remedy == "") {
			t.Errorf("%+v: %+v", c, p)
		}
	}
}

// TestJudgeEcho holds that only policy excuses an echo that did not come.
func TestJudgeEcho(t *testing.T) {
	denied := fatal(stepEcho, CodePeerDenied, "403", "r")
	quota := fatal(stepEcho, CodeQuota, "486", "r")
	silent := fatal(stepEcho, CodeNoEcho, "nothing", "r")
	for _, c := range []struct {
		failed []*Problem
		code   string
		fatal  bool
	}{
		{[]*Problem{denied, denied}, CodePeerDenied, false},
		{[]*Problem{quota, denied}, CodePeerDenied, false},
		{[]*Problem{silent, denied}, CodeNoEcho, true},
		{[]*Problem{denied, silent}, CodeNoEcho, true},
	} {
		if got := judgeEcho(c.failed); got.Code != c.code || got.Fatal != c.fatal {
			t.Errorf("%+v, want %s", got, c.code)
		}
	}
}
