/** The codes of tourbillon.v1. */
export type ServerErrorCode =
  | 'bad-message'
  | 'too-large'
  | 'unknown-type'
  | 'not-joined'
  | 'already-joined'
  | 'bad-room'
  | 'bad-token'
  | 'token-required'
  | 'token-full'
  | 'not-allowed'
  | 'room-full'
  | 'unknown-peer'
  | 'rate-limited'
  | 'slow-consumer'
  | 'join-timeout'
  | 'bad-session'
  | 'session-used'
  | 'session-unknown'
  | 'replay-lost'
  | 'draining'
  | 'call-refused'
  | 'call-ended';

/**
 * The codes from here. "unreachable": no server answered in time; "replaced": this session was taken up in another
 * window; "no-relay": no server for the forced transport; "connection": the browser refused a step; "not-connected":
 * there is no connection yet to do this on; "not-allowed" and "too-large" as the server says them; "overflow": too much
 * waits for a server that is away; "no-path": the server tried every route to a peer in vain; "left": the room is over.
 */
export type ClientErrorCode =
  'unreachable' | 'replaced' | 'no-relay' | 'no-path' | 'connection' | 'not-connected' | 'overflow' | 'left';

/** A code is one of these, or one of a later server. */
export type ErrorCode = ServerErrorCode | ClientErrorCode | (string & {});

/** What went wrong, and what would be right. */
export class TourbillonError extends Error {
  override readonly name = 'TourbillonError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy = '',
    /** Whether it ended the room. */
    readonly fatal = false,
    /** The id of the message that was refused, as Room.message returned it. */
    readonly re?: string,
  ) {
    super(message);
  }
}

/** What has a limit of its own; "message" is all of one. */
export type SizedField = 'sdp' | 'data' | 'candidate' | 'metadata' | 'stats' | 'message';

/** Code "too-large" from here: a message that the server would refuse for its size, of which nothing was sent. */
export class TooLargeError extends TourbillonError {
  constructor(
    readonly field: SizedField,
    /** How large it is in UTF-8: "sdp" as it is, all else as JSON text. */
    readonly bytes: number,
    /** How large it may be. */
    readonly limit: number,
  ) {
    const [what, where] = field === 'message' ? [field, 'one message'] : [`"${field}"`, `"${field}"`];
    super('too-large', `${what} of ${bytes} bytes`, `send at most ${limit} bytes in ${where}`);
  }
}

const PERMANENT = new Set(['bad-token', 'token-required', 'bad-room', 'room-full']);
const PASSING = new Set(['join-timeout', 'not-joined', 'slow-consumer', 'rate-limited', 'draining']);
const RESUME_REFUSALS = new Set(['session-unknown', 'session-used', 'bad-session', 'replay-lost']);

/**
 * Whether an error ends the room for good. The answer to a join that is not a passing trouble would be the same at the
 * next try; of all others only the codes that say "you may not be here" end a call that already worked.
 */
export function endsRoom(code: string, joining: boolean): boolean {
  return PERMANENT.has(code) || (joining && !PASSING.has(code));
}

/** Whether an error says that the session cannot be resumed, so that a join on the same socket is next. */
export function refusesResume(code: string): boolean {
  return RESUME_REFUSALS.has(code);
}

/** Whether a join was refused for a trouble that passes, so that a later socket may have more luck. */
export function isPassing(code: string): boolean {
  return PASSING.has(code);
}

export function unreachable(): TourbillonError {
  return new TourbillonError('unreachable', 'the server does not answer', 'check the address and that it runs', true);
}

export function replaced(): TourbillonError {
  const remedy = 'go on in the other window, or join again here';
  return new TourbillonError('replaced', 'this call was taken up in another window', remedy, true);
}

/** The refusal of a server that closed the connection over a message's size before it read it. */
export function tooLargeUnsaid(fatal: boolean): TourbillonError {
  const message = 'a message was larger than the server reads';
  return new TourbillonError('too-large', message, 'send less in one message', fatal);
}

export function noRelay(transport: string | undefined): TourbillonError {
  const message = `the server offers no relay over ${transport}`;
  return new TourbillonError('no-relay', message, 'choose another relay transport');
}

export function noPath(peer: string): TourbillonError {
  const remedy = 'try another network; restart() tries at once, and so does a network that comes back';
  return new TourbillonError('no-path', `no route to ${peer} works`, remedy);
}

export function overflow(): TourbillonError {
  return new TourbillonError('overflow', 'too much waits for the server', 'send less, or wait for state "joined"');
}

/** Whatever was thrown, as an error of ours. */
export function asTourbillonError(error: unknown): TourbillonError {
  if (error instanceof TourbillonError) return error;
  return new TourbillonError('connection', error instanceof Error ? error.message : String(error));
}
