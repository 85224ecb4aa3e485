package probe

// The steps, by name.
const (
	stepConnect  = "connect"
	stepBinding  = "binding"
	stepAllocate = "allocate"
	stepEcho     = "echo"
	stepRelease  = "release"
)

// Status is how a step ended.
type Status string

// How steps end.
const (
	StatusOK     Status = "ok"
	StatusFailed Status = "failed"
	// StatusDenied is a step that the server's policy does not allow, which is no fault.
	StatusDenied Status = "denied"
)

// Report is what `tourbillon probe --json` prints.
type Report struct {
	// OK tells that no server failed.
	OK      bool     `json:"ok"`
	Servers []Server `json:"servers"`
	// NAT is what stands between here and the servers asked over UDP, one entry for each address family.
	NAT []*NAT `json:"nat"`
}

// Server is what was seen of one server. Fields of steps that were not reached are left out.
type Server struct {
	URL string `json:"url"`
	OK  bool   `json:"ok"`
	// Transport is "udp", "tcp" or "tls"; Address the server's, Local this end's, Mapped how the server sees it.
	Transport Transport `json:"transport"`
	Address   string    `json:"address,omitempty"`
	Local     string    `json:"local,omitempty"`
	Mapped    string    `json:"mapped,omitempty"`
	// Software is what the server calls itself.
	Software    string       `json:"software,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	Allocation  *Allocation  `json:"allocation,omitempty"`
	Steps       []Step       `json:"steps"`
	Series      []*Series    `json:"series"`
	Problems    []*Problem   `json:"problems"`
}

// Step is one step that was taken.
type Step struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail says what came of it, TookNS how long it took, Requests how many requests were sent, repetitions included.
	Detail   string `json:"detail"`
	TookNS   int64  `json:"took_ns"`
	Requests int    `json:"requests"`
}

// Allocation is what the server relays from.
type Allocation struct {
	Realm   string `json:"realm"`
	Relayed string `json:"relayed"`
	// LifetimeS is the lifetime in seconds.
	LifetimeS int64 `json:"lifetime_s"`
	// Authentication is what was said until the server agreed, one line for each answer.
	Authentication []string `json:"authentication"`
	// Peer is what the echo went through: "second allocation" or "own socket".
	Peer string `json:"peer,omitempty"`
}

// note takes a problem of a step; nil is none.
func (s *Server) note(p *Problem) {
	if p == nil {
		return
	}
	s.Problems = append(s.Problems, p)
	s.OK = s.OK && !p.Fatal
}
