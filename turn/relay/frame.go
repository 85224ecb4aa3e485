package relay

// MaxFrameBytes is the longest frame of a stream that is served, with its header and padding. Longer ones are passed over.
const MaxFrameBytes = 1599

const (
	stunHeader    = 20
	channelHeader = 4
	magicCookie   = 0x2112A442
)

// FrameSize is the size of a frame of a stream in bytes, by its first two words, of whose header so many bytes are there: 0
// where they do not tell. ChannelData is padded to four bytes (RFC 8656 12.5). It reports false for what is neither STUN nor
// ChannelData. Loops call it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func FrameSize(head, cookie, have uint32) (size uint32, ok bool) {
	first, body := head>>24, head&0xffff
	switch {
	case have < channelHeader:
		return 0, true
	case first >= 0x40 && first < 0x80:
		return channelHeader + (body+3)&^3, true
	case have < stunHeader:
		return 0, true
	case first > 0x03 || body%4 != 0 || cookie != magicCookie:
		return 0, false
	}
	return stunHeader + body, true
}
