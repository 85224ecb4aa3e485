/**
 * What went wrong, and what would be right. Codes are the server's, and three from here: "unreachable" (no server
 * answered in time), "no-relay" (none for the forced transport) and "connection" (the browser refused a step).
 */
export class TourbillonError extends Error {
  override readonly name = 'TourbillonError';

  constructor(
    readonly code: string,
    message: string,
    readonly remedy = '',
    readonly fatal = false,
  ) {
    super(message);
  }
}

const PERMANENT = new Set(['bad-token', 'token-required', 'bad-room', 'room-full']);
const PASSING = new Set(['join-timeout', 'slow-consumer', 'rate-limited']);

/**
 * Whether an error ends the room for good. The answer to a first join that is not a passing trouble would be the same
 * at the next try; later only the codes that say "you may not be here" end a call that already worked.
 */
export function endsRoom(code: string, everJoined: boolean): boolean {
  return PERMANENT.has(code) || (!everJoined && !PASSING.has(code));
}
