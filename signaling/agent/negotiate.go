package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/orchestrate"
)

// answer takes an offer. Candidates are the socket's addresses, known at once, so the answer is complete.
func (c *incoming) answer(ctx context.Context, sdp string) error {
	before := c.remoteUfrag()
	if err := c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		return fmt.Errorf("take the offer: %w", err)
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
		c.candidates = 0
		c.apply(orchestrate.Offered)
	}
	c.apply(orchestrate.Gathered)
	c.reply.Answer(c.connection.LocalDescription().SDP)
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
	if err := c.connection.AddICECandidate(webrtc.ICECandidateInit{Candidate: candidate}); err != nil {
		c.config.Log.Debug("a candidate was passed over", "peer", c.from.Peer, "error", err)
	}
	return nil
}

// chosen begins consent on the pair that ICE has chosen. It runs on pion's goroutine.
func (c *incoming) chosen(transport *webrtc.ICETransport, pair *webrtc.ICECandidatePair) {
	address, err := netip.ParseAddr(pair.Remote.Address)
	local, localErr := transport.GetLocalParameters()
	remote, remoteErr := transport.GetRemoteParameters()
	if err != nil || localErr != nil || remoteErr != nil {
		c.stop("the selected pair has no address or no credentials")
		return
	}
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
	_ = c.post(message{kind: selected})
}
