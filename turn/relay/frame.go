package relay

// MaxFrameBytes is the longest frame of a stream that is served, with its header and padding. Longer ones are passed over.
const MaxFrameBytes = 1599
