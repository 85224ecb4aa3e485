import type { RelayMode } from './ice-servers.js';
import type { RepairCause } from './negotiation.js';
import type { Path } from './path.js';
import type { PathNews, PathReport, PathRoute } from './protocol.js';

/** How much longer than it said the server may take before this end acts by itself: it may be gone. */
export const PATIENCE_MS = 5000;
/** How often the sides try by themselves once the server has given up: the impolite one, and later the other. */
const GIVEN_UP_MS = { impolite: 60_000, polite: 120_000 };

/** Causes that only this end can see, or that somebody waits for: the server has no say. */
const OWN = new Set<RepairCause>(['asked', 'awaited', 'returning']);

/** How long a repair is left to a server that looks after paths. A changed network restarts the impolite side at once. */
export function leaveToServer(cause: RepairCause, polite: boolean): number {
  if (OWN.has(cause) || (cause === 'online' && !polite)) return 0;
  return PATIENCE_MS;
}

/** The wait for the next try after the server has given up. */
export function givenUpDelay(polite: boolean): number {
  return polite ? GIVEN_UP_MS.polite : GIVEN_UP_MS.impolite;
}

/** How long this end waits for what the server said it would do. */
export function waitFor({ next_ms }: PathNews): number {
  return (next_ms ?? 30_000) + PATIENCE_MS;
}

/** The only transport of a route, undefined for any way. */
export function relayOf(route: PathRoute): RelayMode | undefined {
  return route === 'direct' ? undefined : (route.slice('relay/'.length) as RelayMode);
}

/** A word to the server about the connection to a peer. */
export function pathReport(to: string, state: PathReport['state'], path: Path | null = null): PathReport {
  const report: PathReport = { type: 'stats', to, state };
  if (path) report.via = path.kind;
  if (path?.transport) report.transport = path.transport;
  return report;
}

/** Whether the server knows as much already. */
export function isSameReport(before: PathReport | null, now: PathReport): boolean {
  return before?.state === now.state && before.via === now.via && before.transport === now.transport;
}

/** The word for a connection's state; null for one that is over. */
export function reportedState(state: RTCPeerConnectionState): PathReport['state'] | null {
  switch (state) {
    case 'new':
      return 'gathering';
    case 'connecting':
      return 'checking';
    case 'closed':
      return null;
    default:
      return state;
  }
}
