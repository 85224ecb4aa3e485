package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/orchestrate"
)

// answer takes an offer. Candidates are the socket's addresses, known at once, so the answer is complete.
func (c *incoming) answer(ctx context.Context, o offer) error {
	before := c.remoteUfrag()
	if err := c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.text}); err != nil {
		return c.refuse(err)
	}
	if before == "" && !o.lite {
		c.path.Await()
	}
	answer, err := c.connection.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("create the answer: %w", err)
	}
	if err := gather(ctx, c.connection, answer); err != nil {
		return err
	}
	if before != "" && before != c.remoteUfrag() {
		c.path.Restarted()
		if !o.lite {
			c.path.Await()
		}
		c.candidates = 0
		c.apply(orchestrate.Offered)
	}
	for _, candidate := range o.candidates {
		if err := c.add(candidate); err != nil {
			return err
		}
	}
	c.apply(orchestrate.Gathered)
	c.answered = true
	c.reply.Answer(c.connection.LocalDescription().SDP)
	return nil
}

// refuse tells the caller that pion does not take its offer. A call that stands goes on where pion is as it was before;
// else the call ends, with the error, which says so.
func (c *incoming) refuse(err error) error {
	why := &CallError{Kind: ErrBadOffer, Wrong: "it cannot be taken: " + err.Error(), Remedy: remedyOf(ErrBadOffer)}
	stable := c.connection.SignalingState() == webrtc.SignalingStateStable
	switch {
	case c.answered && !stable:
		return why
	case c.answered:
		c.config.Log.Debug("an offer was refused in a call", "peer", c.from.Peer, "error", err)
	default:
		c.stop(EndOffer, why.Error())
	}
	c.reply.Refuse(why)
	return nil
}

// remoteUfrag names the generation of the caller's ICE credentials; empty before the first offer.
func (c *incoming) remoteUfrag() string {
	parameters, err := c.connection.SCTP().Transport().ICETransport().GetRemoteParameters()
	if err != nil {
		return ""
	}
	return parameters.UsernameFragment
}

func (c *incoming) add(candidate string) error {
	if c.candidates++; c.candidates > c.config.Limits.Candidates {
		return fmt.Errorf("%d candidates: %w", c.candidates, ErrTooMany)
	}
	if to, err := readCandidate(candidate); err != nil || !c.config.Socket.Admits(to) {
		c.passedOver.Add(1)
		return nil
	}
	if err := c.connection.AddICECandidate(webrtc.ICECandidateInit{Candidate: candidate}); err != nil {
		c.config.Log.Debug("a candidate was passed over", "peer", c.from.Peer, "error", err)
	}
	return nil
}

// chosen begins consent on the pair that ICE has chosen. An error is our fault.
func (c *incoming) chosen(pair *webrtc.ICECandidatePair) error {
	transport := c.connection.SCTP().Transport().ICETransport()
	address, err := netip.ParseAddr(pair.Remote.Address)
	local, localErr := transport.GetLocalParameters()
	remote, remoteErr := transport.GetRemoteParameters()
	if err != nil || localErr != nil || remoteErr != nil {
		return errors.New("the selected pair has no address or no credentials")
	}
	c.mu.Lock()
	c.pair = Pair{
		Local: addressOf(pair.Local), Remote: netip.AddrPortFrom(address, pair.Remote.Port),
		LocalType: pair.Local.Typ.String(), RemoteType: pair.Remote.Typ.String(),
	}
	c.mu.Unlock()
	var tieBreaker [8]byte
	_, _ = rand.Read(tieBreaker[:]) // Never fails (crypto/rand).
	selectPair := c.path.Select
	if pair.Remote.Protocol == webrtc.ICEProtocolTCP {
		selectPair = c.path.SelectStream
	}
	selectPair(netip.AddrPortFrom(address, pair.Remote.Port), consent.Credentials{
		LocalUfrag: local.UsernameFragment, RemoteUfrag: remote.UsernameFragment, RemotePassword: remote.Password,
		Controlling: transport.Role() == webrtc.ICERoleControlling, TieBreaker: binary.BigEndian.Uint64(tieBreaker[:]),
	})
	return nil
}

// addressOf is a candidate's address; the zero AddrPort where that is a name.
func addressOf(c *webrtc.ICECandidate) netip.AddrPort {
	address, err := netip.ParseAddr(c.Address)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(address, c.Port)
}
