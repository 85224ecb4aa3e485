import type { RelayMode } from './ice-servers.js';

/** How the packets of a connection travel. */
export interface Path {
  /** "relay" when either end uses a relay. */
  kind: 'direct' | 'relay';
  /** How this end reaches its own relay; absent when only the other end uses one. */
  transport?: RelayMode;
  /** The round trip that ICE measured last. */
  rttMs?: number;
}

export interface Entry {
  id: string;
  type: string;
  [field: string]: unknown;
}

/** Reads the selected candidate pair out of a stats report; null before there is one. */
export function readPath(report: Iterable<[string, unknown]>): Path | null {
  const entries = entriesOf(report);
  const pair = selectedPair(entries);
  if (!pair) return null;
  const local = entries.get(String(pair['localCandidateId']));
  const remote = entries.get(String(pair['remoteCandidateId']));
  const path: Path = { kind: 'direct' };
  if (remote?.['candidateType'] === 'relay') path.kind = 'relay';
  if (local?.['candidateType'] === 'relay') {
    path.kind = 'relay';
    path.transport = (local['relayProtocol'] as RelayMode | undefined) ?? 'udp';
  }
  const rtt = pair['currentRoundTripTime'];
  if (typeof rtt === 'number') path.rttMs = rtt * 1000;
  return path;
}

export function entriesOf(report: Iterable<[string, unknown]>): Map<string, Entry> {
  return new Map([...report].map(([id, entry]) => [id, entry as Entry]));
}

/** The pair that the transport names, or the nominated one where a browser names none. */
function selectedPair(entries: Map<string, Entry>): Entry | undefined {
  for (const entry of entries.values()) {
    if (entry.type !== 'transport' || !entry['selectedCandidatePairId']) continue;
    return entries.get(String(entry['selectedCandidatePairId']));
  }
  return [...entries.values()].find(
    (entry) => entry.type === 'candidate-pair' && entry['nominated'] === true && entry['state'] === 'succeeded',
  );
}
