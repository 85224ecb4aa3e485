package timing

// What the tests of the host facts reach for: decisions that a single machine cannot all be brought to.
var (
	GrantRealTime  = grantRealTime
	RefusedIOUring = refusedIOUring
)
