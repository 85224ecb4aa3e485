package agent

import (
	"fmt"
	"strings"
)

// maxLine is the longest line of an offer, in bytes: fingerprints, candidates and the like take some hundred.
const maxLine = 4 << 10

// judge refuses an offer for its size before anything parses it.
func (l Limits) judge(sdp string) error {
	if len(sdp) > l.SDPBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrBadOffer, len(sdp), l.SDPBytes)
	}
	lines, candidates := 0, 0
	for line := range strings.Lines(sdp) {
		lines++
		if strings.HasPrefix(line, "a=candidate:") {
			candidates++
		}
		if len(line) > maxLine {
			return fmt.Errorf("%w: line %d has %d bytes, at most %d", ErrBadOffer, lines, len(line), maxLine)
		}
	}
	switch {
	case lines > l.SDPLines:
		return fmt.Errorf("%w: %d lines, at most %d", ErrBadOffer, lines, l.SDPLines)
	case candidates > l.Candidates:
		return fmt.Errorf("%w: %d candidates, at most %d", ErrBadOffer, candidates, l.Candidates)
	case !strings.HasPrefix(sdp, "v=0"):
		return fmt.Errorf("%w: no SDP: it begins with v=0", ErrBadOffer)
	}
	return nil
}
