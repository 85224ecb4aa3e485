package kernel

// Requests (IORING_OP_*).
const (
	OpNop         = 0
	OpPollAdd     = 6
	OpSendmsg     = 9
	OpRecvmsg     = 10
	OpTimeout     = 11
	OpAsyncCancel = 14
	OpSend        = 26
)

// Flags of requests, and of their kinds.
const (
	SQEIOLink         = 1 << 2 // IOSQE_IO_LINK
	SQEBufferSelect   = 1 << 5 // IOSQE_BUFFER_SELECT
	SQECQESkipSuccess = 1 << 6 // IOSQE_CQE_SKIP_SUCCESS, Linux 5.17

	TimeoutAbs          = 1 << 0 // IORING_TIMEOUT_ABS
	TimeoutETimeSuccess = 1 << 5 // IORING_TIMEOUT_ETIME_SUCCESS, Linux 5.16
	RecvMultishot       = 1 << 1 // IORING_RECV_MULTISHOT, Linux 6.0
	PollAddMulti        = 1 << 0 // IORING_POLL_ADD_MULTI
)

// Flags of completions.
const (
	CQEBuffer      = 1 << 0 // IORING_CQE_F_BUFFER
	CQEMore        = 1 << 1 // IORING_CQE_F_MORE
	CQEBufferShift = 16     // IORING_CQE_BUFFER_SHIFT
)

// Flags of io_uring_setup (IORING_SETUP_*) and what it answers (IORING_FEAT_*).
const (
	SetupSQPoll       = 1 << 1
	SetupCQSize       = 1 << 3
	SetupSubmitAll    = 1 << 7  // Linux 5.18
	SetupSingleIssuer = 1 << 12 // Linux 6.0
	SetupDeferTaskrun = 1 << 13 // Linux 6.1

	FeatSingleMmap = 1 << 0
	FeatNoDrop     = 1 << 1
	FeatExtArg     = 1 << 8
	FeatCQESkip    = 1 << 11
	FeatMinTimeout = 1 << 15 // Linux 6.12
)

// Flags of io_uring_enter (IORING_ENTER_*), and of the ring of submissions (IORING_SQ_*).
const (
	EnterGetevents = 1 << 0
	EnterSQWakeup  = 1 << 1
	EnterExtArg    = 1 << 3

	SQNeedWakeup = 1 << 0
)

// Registrations (IORING_REGISTER_*).
const (
	RegisterEventFD    = 4
	RegisterBufferRing = 22 // IORING_REGISTER_PBUF_RING, Linux 5.19
	RegisterSyncCancel = 24 // Linux 6.0
)

const (
	offsetSQRing = 0          // IORING_OFF_SQ_RING
	offsetSQEs   = 0x10000000 // IORING_OFF_SQES
)

// SQE is struct io_uring_sqe, a submission.
type SQE struct {
	Opcode, Flags uint8
	IOPrio        uint16
	FD            int32
	Off, Addr     uint64
	Len, OpFlags  uint32
	UserData      uint64
	BufferGroup   uint16
	_             uint16
	NameLen       uint16 // addr_len of IORING_OP_SEND
	_             uint16
	_             [2]uint64
}

// CQE is struct io_uring_cqe, a completion.
type CQE struct {
	UserData uint64
	Res      int32
	Flags    uint32
}

// Params is struct io_uring_params.
type Params struct {
	SQEntries, CQEntries, Flags, SQThreadCPU, SQThreadIdle, Features, WQFD uint32

	_     [3]uint32
	SQOff struct {
		Head, Tail, RingMask, RingEntries, Flags, Dropped, Array, _ uint32
		_                                                           uint64
	}
	CQOff struct {
		Head, Tail, RingMask, RingEntries, Overflow, CQEs, Flags, _ uint32
		_                                                           uint64
	}
}

// Timespec is struct __kernel_timespec of <linux/time_types.h>: 64 bits wide on every architecture.
type Timespec struct{ Sec, Nsec int64 }
