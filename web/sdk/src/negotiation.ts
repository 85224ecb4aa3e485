/** The decisions of perfect negotiation and of repair, without any connection. */

export interface OfferSituation {
  polite: boolean;
  makingOffer: boolean;
  signalingState: RTCSignalingState;
}

/** Whether an offer that has just arrived is to be ignored: the impolite side's own offer wins a collision. */
export function ignoresOffer({ polite, makingOffer, signalingState }: OfferSituation): boolean {
  const collision = makingOffer || signalingState !== 'stable';
  return !polite && collision;
}

/** The session id of an SDP's origin line; it is the same for the whole life of one RTCPeerConnection (RFC 9429 5.2.1). */
export function sdpSession(sdp: string): string {
  return /^o=\S+ (\S+)/m.exec(sdp)?.[1] ?? '';
}

/** Whether a description comes from another RTCPeerConnection than the one described before. */
export function isOtherConnection(before: string | undefined, now: string): boolean {
  return before !== undefined && sdpSession(before) !== sdpSession(now);
}

/**
 * Why a connection needs help. "awaited": the first offer has not come; "returning": we dropped a peer that is back, and
 * it cannot know; "dead-path": the relay behind the path is gone, whatever the states still say; "asked": the peer sees
 * a reason; "stalled": the last help did not lead to a connection.
 */
export type RepairCause =
  'awaited' | 'returning' | 'failed' | 'disconnected' | 'dead-path' | 'online' | 'asked' | 'unfinished' | 'stalled';

const IMPOLITE_DELAY_MS: Record<RepairCause, number> = {
  awaited: 3000,
  returning: 0,
  failed: 0,
  disconnected: 4000,
  'dead-path': 0,
  online: 0,
  asked: 0,
  unfinished: 0,
  stalled: 12000,
};
/** How long the polite side waits for the other to act, so that two restarts do not collide. */
const POLITE_EXTRA_MS = 3000;

export function repairDelay(cause: RepairCause, polite: boolean): number {
  if (cause === 'asked') return 0; // The other side waits for this one.
  return IMPOLITE_DELAY_MS[cause] + (polite ? POLITE_EXTRA_MS : 0);
}

/** Whether the help is needed although the connection says it is connected. */
export function isNeededWhenConnected(cause: RepairCause, polite: boolean): boolean {
  return cause === 'dead-path' || cause === 'asked' || (cause === 'online' && !polite);
}

/** Restarts that may fail before the connection is built anew. */
const RESTARTS = 2;
/** The same where the server tries one route after the other: each gets its restart. */
export const RESTARTS_OVER_ROUTES = 4;

/** What helps: a restart, saying again what got lost, or a new connection. */
export function repairAction(
  signalingState: RTCSignalingState,
  failedRepairs: number,
  restarts = RESTARTS,
): 'restart' | 'resend' | 'rebuild' {
  if (signalingState === 'closed' || failedRepairs >= restarts) return 'rebuild';
  return signalingState === 'have-local-offer' ? 'resend' : 'restart';
}
