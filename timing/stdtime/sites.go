package stdtime

// Tier is the class of clock that a timer runs on. It belongs to the call site, not to the length of the timer.
type Tier string

// The tiers. Coarse is [timing.Coarse] of the same clock: up to [timing.CoarseSlack] late, so that many share a wake.
const (
	Precise Tier = "precise"
	Coarse  Tier = "coarse"
)

// row says how the timers of one function are called.
type row struct {
	// function is the name of a function or method below its module's path, label begins with the module's label.
	function, label string
	tier            Tier
	why             string
}

// kinds are the labels of functions that make several kinds of timers, told apart by their callers: by the label that
// stands for all, the labels of the calls in the order of the source.
var kinds = map[string][]string{
	"pion.sctp.rtx": {"pion.sctp.t1-init", "pion.sctp.t1-cookie", "pion.sctp.t2-shutdown", "pion.sctp.t3-rtx", "pion.sctp.reconfig"},
}

// rows is the table of all call sites that have a label of their own. A function that is not listed arms precise
// timers under its module's label. The major version in a module's path does not matter.
var rows = []row{
	{"internal/client.(*Transaction).StartRtxTimer", "pion.turn.transaction", Precise, "retransmits of a request, RFC 8489 section 6.2.1"},
	{"internal/client.(*PeriodicTimer).Start", "pion.turn.refresh", Precise, "client's refreshes of allocation, permissions and channels, RFC 8656 sections 8, 9 and 12"},
	{"internal/client.NewUDPConn", "pion.turn.read-deadline", Precise, "the application's read deadline on a relayed address"},
	{"internal/client.NewTCPAllocation", "pion.turn.read-deadline", Precise, "the application's accept deadline on a relayed address"},
	{".(*Server).readListener", "pion.turn.tls", Precise, "bounds a client's TLS handshake"},
	{"internal/allocation.(*Manager).CreateAllocation", "pion.turn.lifetime", Coarse, "server's allocation lifetime, 10 min: nobody waits for its end"},
	{"internal/allocation.(*Permission).start", "pion.turn.lifetime", Coarse, "server's permission lifetime, 5 min: nobody waits for its end"},
	{"internal/allocation.(*ChannelBind).start", "pion.turn.lifetime", Coarse, "server's channel lifetime, 10 min: nobody waits for its end"},
	{"internal/allocation.(*Manager).CreateReservation", "pion.turn.lifetime", Coarse, "server's reserved port, 30 s: nobody waits for its end"},
	{"internal/allocation.(*Manager).addTCPConnection", "pion.turn.lifetime", Coarse, "server's TCP connection that no client binds, 30 s, RFC 6062 section 5.2"},

	{".newRTXTimer", "pion.sctp.rtx", Precise, "RFC 9260 section 6.3, RFC 6525: one timer for each kind, made by the association"},
	{".newAckTimer", "pion.sctp.ack", Precise, "delayed acknowledgement, RFC 9260 section 6.2"},
	{".(*Association).timerLoop", "pion.sctp.rack", Precise, "reordering window and tail loss probe, RFC 8985"},
	{".(*Association).Abort", "pion.sctp.abort", Coarse, "bounds the sending of an ABORT: the association has ended"},
	{".(*Stream).SetReadDeadline", "pion.sctp.read-deadline", Precise, "the application's read deadline on a stream"},

	{".(*handshakeFSM).wait", "pion.dtls.flight", Precise, "retransmits of a flight, RFC 6347 section 4.2.4.1"},

	{".(*Agent).connectivityChecks", "pion.ice.check", Precise, "one timer paces checks and keepalives and sees disconnection, RFC 8445 sections 6.1.4, 7 and 11"},
	{"internal/stun.(*XORMappedAddrTransaction).Get", "pion.ice.gather", Precise, "retransmits and bound of a gathering request, RFC 8489 section 6.2.1"},
	{".(*Agent).resolveAndAddMulticastCandidate", "pion.ice.mdns", Precise, "bounds the look-up of a peer's mDNS name"},
	{".(*Agent).startNetworkMonitoring", "pion.ice.network", Precise, "looks for changed interfaces; a call may wait for it"},
	{".newTCPPacketConn", "pion.ice.tcp-alive", Precise, "closes a TCP connection that no agent has taken"},
	{".(*sharedPacketConn).readContext", "pion.ice.read-deadline", Precise, "the reader's deadline on a shared socket"},

	{".(*tickerCollector).Start", "pion.stun.transaction", Precise, "sees requests whose time is over"},

	{".(*Conn).QueryAddr", "pion.mdns.query", Precise, "repeats a question, RFC 6762 section 5.2"},
	{".(*Conn).browseLoop", "pion.mdns.query", Precise, "repeats a question, RFC 6762 section 5.2"},
	{".(*Conn).enumerateLoop", "pion.mdns.query", Precise, "repeats a question, RFC 6762 section 5.2"},
	{".(*Conn).refreshLoop", "pion.mdns.refresh", Precise, "asks again before a record ends, RFC 6762 section 5.2"},
	{".(*Conn).repeatTXTAnnouncement", "pion.mdns.announce", Precise, "second announcement, 1 s after the first, RFC 6762 section 8.3"},
	{".(*Conn).sweepLoop", "pion.mdns.sweep", Coarse, "drops records that have ended: nobody waits for it"},

	{"pkg/report.(*SenderInterceptorFactory).NewInterceptor", "pion.interceptor.report", Precise, "RTCP sender reports, RFC 3550 section 6"},
	{"pkg/report.(*ReceiverInterceptor).loop", "pion.interceptor.report", Precise, "RTCP receiver reports, RFC 3550 section 6"},
	{"pkg/nack.(*GeneratorInterceptor).loop", "pion.interceptor.nack", Precise, "negative acknowledgements, RFC 4585"},
	{"pkg/twcc.(*SenderInterceptor).loop", "pion.interceptor.feedback", Precise, "transport-wide congestion feedback"},
	{"pkg/rfc8888.(*SenderInterceptorFactory).NewInterceptor", "pion.interceptor.feedback", Precise, "congestion feedback, RFC 8888"},
	{"pkg/intervalpli.(*GeneratorInterceptor).createLoopTicker", "pion.interceptor.pli", Precise, "requests for key frames"},
	{"pkg/pacing.(*Interceptor).loop", "pion.interceptor.pace", Precise, "paces media packets"},
	{"pkg/gcc.(*LeakyBucketPacer).Run", "pion.interceptor.pace", Precise, "paces media packets"},

	{"deadline.afterFunc", "pion.transport.deadline", Precise, "read and write deadlines of DTLS, SCTP and packet buffers"},
	{"deadline.(*jsTimer).Reset", "pion.transport.deadline", Precise, "the same, in browsers"},
	{"udp.(*pingPong).EnqueueMessage", "pion.transport.batch", Precise, "waits for room in a batch of datagrams"},
	{"udp.(*pingPong).flusher", "pion.transport.batch", Precise, "sends a batch that does not fill"},
}
