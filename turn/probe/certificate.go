package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Certificate is what a server showed over TLS.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	// Verified tells that clients with the usual authorities accept it.
	Verified bool `json:"verified"`
	// Version is that of TLS.
	Version string `json:"version"`
}

func describe(state tls.ConnectionState) *Certificate {
	leaf := state.PeerCertificates[0]
	c := &Certificate{
		Subject: printable([]byte(leaf.Subject.String())), Issuer: printable([]byte(leaf.Issuer.String())), Names: []string{},
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), Version: tls.VersionName(state.Version),
	}
	for _, name := range leaf.DNSNames {
		c.Names = append(c.Names, printable([]byte(name)))
	}
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	return c
}

// expiresSoon is how long before its end a certificate is worth a remark.
const expiresSoon = 14 * 24 * time.Hour

// judgeCertificate verifies what a server showed, for the host that was asked for. It returns nil where all is well.
func judgeCertificate(state tls.ConnectionState, host string, roots *x509.CertPool, now time.Time) *Problem {
	leaf := state.PeerCertificates[0]
	rest := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		rest.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, DNSName: verifiable(host), CurrentTime: now})
	if err != nil {
		return certificateProblem(err, leaf, host, now)
	}
	if left := leaf.NotAfter.Sub(now); left < expiresSoon {
		return remark(stepConnect, CodeCertificate, fmt.Sprintf("the certificate expires in %v", left.Round(time.Hour)), "renew it")
	}
	return nil
}

// verifiable is the host as x509 wants it: an IPv6 zone is no part of a certificate.
func verifiable(host string) string {
	if at, err := netip.ParseAddr(host); err == nil {
		return at.WithZone("").String()
	}
	return host
}

func certificateProblem(err error, leaf *x509.Certificate, host string, now time.Time) *Problem {
	var wrongName x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	date := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	what, remedy := "the certificate does not verify: "+printable([]byte(err.Error())), "install another certificate"
	switch {
	case now.After(leaf.NotAfter):
		what, remedy = "the certificate expired at "+date(leaf.NotAfter), "renew it, and see that the server has loaded the new one"
	case now.Before(leaf.NotBefore):
		what, remedy = "the certificate is not valid before "+date(leaf.NotBefore), "set the clock of this machine, or that of the one that issued it"
	case errors.As(err, &wrongName):
		what = fmt.Sprintf("the certificate is for %s, not for %s", strings.Join(named(leaf), ", "), host)
		remedy = "ask for the server by one of these names, or install a certificate for this one"
	case errors.As(err, &unknown) && leaf.Subject.String() == leaf.Issuer.String():
		what, remedy = "the certificate is signed by itself", "install one from an authority that clients know; --insecure goes on all the same"
	case errors.As(err, &unknown):
		what = "the certificate is from an authority that is not known here: " + printable([]byte(leaf.Issuer.String()))
		remedy = "have the server send the whole chain, or install the authority; --insecure goes on all the same"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		what, remedy = "a certificate in the chain has expired", "renew the chain"
	}
	return fatal(stepConnect, CodeCertificate, what, remedy)
}

func named(leaf *x509.Certificate) []string {
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for i, name := range names {
		names[i] = printable([]byte(name))
	}
	if len(names) == 0 {
		return []string{"no host at all"}
	}
	return names
}

// connectProblem puts an error of connecting into words.
func connectProblem(err error, t Target, timeout time.Duration) *Problem {
	var notTLS tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.Is(err, errTimeout):
		return fatal(stepConnect, CodeNoAnswer, fmt.Sprintf("no connection within %v", timeout.Round(time.Millisecond)),
			"see that the server runs and that a firewall lets "+t.network()+" to "+t.Address()+" pass")
	case errors.As(err, &notTLS):
		return fatal(stepConnect, CodeNoTLS, "the server does not speak TLS on this port", "use turn: instead of turns:, or its port for TLS")
	case errors.Is(err, errHandshake):
		return fatal(stepConnect, CodeNoTLS, "the connection stands, TLS does not: "+printable([]byte(err.Error())),
			"see that this is the server's port for TLS, that a certificate is loaded, and which TLS versions it allows")
	case errors.As(err, &dns):
		return fatal(stepConnect, CodeResolve, "no address for "+t.Host+": "+dns.Err, "see the name's spelling and its A and AAAA records")
	case isRefused(err):
		return fatal(stepConnect, CodeRefused, "nothing listens on "+t.Address()+" over "+t.network(), "start the server there, or correct the port")
	}
	return fatal(stepConnect, CodeConnect, "no connection: "+printable([]byte(err.Error())), "see the route to "+t.Address())
}
