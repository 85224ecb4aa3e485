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
	// StatusInterrupted is a step that the caller's context ended.
	StatusInterrupted Status = "interrupted"
)

// State is how a server came off.
type State string

// The states of a server.
const (
	StateGood   State = "good"
	StateFailed State = "failed"
	// StateInterrupted is a server that was not through its steps when the caller's context ended, or never reached:
	// nothing that was seen of it is wrong.
	StateInterrupted State = "interrupted"
)

// Report is what `tourbillon probe --json` prints.
type Report struct {
	// OK tells that every server is good. Interrupted tells that the caller's context ended before all was done.
	OK          bool `json:"ok"`
	Interrupted bool `json:"interrupted"`
	// MaxLossPercent is the loss of a series above which its server counts as failed.
	MaxLossPercent float64  `json:"max_loss_percent"`
	Servers        []Server `json:"servers"`
	// NAT is what stands between here and the servers asked over UDP, one entry for each address family.
	NAT []*NAT `json:"nat"`
}

// Server is what was seen of one server. Fields of steps that were not reached are left out.
type Server struct {
	URL string `json:"url"`
	// State is "good", "failed" or "interrupted"; OK tells that it is good.
	State State `json:"state"`
	OK    bool  `json:"ok"`
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
	switch {
	case p.Fatal:
		s.State = StateFailed
	case p.Code == CodeInterrupted && s.State == StateGood:
		s.State = StateInterrupted
	}
	s.OK = s.State == StateGood
}
