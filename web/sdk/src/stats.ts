import { type Path, entriesOf, readPath } from './path.js';

/** The most that a stats report may hold, in bytes (tourbillon.v1). */
const MAX_REPORT_BYTES = 4096;

/** What one connection does, over the time since the summary before. */
export interface PeerStats {
  state: RTCPeerConnectionState;
  path?: Path['kind'];
  transport?: NonNullable<Path['transport']>;
  rtt_ms?: number;
  /** Of what is received: the worst of all streams. */
  jitter_ms?: number;
  /** Received packets that were lost, as a share from 0 to 1. */
  lost?: number;
  send_kbps?: number;
  receive_kbps?: number;
}

/** Counters that only grow, read at one moment. */
export interface Totals {
  atMs: number;
  received: number;
  lost: number;
  bytesIn: number;
  bytesOut: number;
}

export interface Reading {
  stats: PeerStats;
  totals: Totals;
}

/** Sums a getStats report up. Without an earlier reading the shares and rates stay out. */
export function summarise(
  report: Iterable<[string, unknown]>,
  state: RTCPeerConnectionState,
  atMs: number,
  before?: Totals,
): Reading {
  const list = [...report];
  const path = readPath(list);
  const totals: Totals = { atMs, received: 0, lost: 0, bytesIn: 0, bytesOut: 0 };
  let jitter: number | undefined;
  for (const entry of entriesOf(list).values()) {
    if (entry.type === 'inbound-rtp') {
      totals.received += count(entry['packetsReceived']);
      totals.lost += count(entry['packetsLost']);
      if (typeof entry['jitter'] === 'number') jitter = Math.max(jitter ?? 0, entry['jitter']);
    } else if (entry.type === 'transport') {
      totals.bytesIn += count(entry['bytesReceived']);
      totals.bytesOut += count(entry['bytesSent']);
    }
  }
  const stats: PeerStats = { state };
  if (path) stats.path = path.kind;
  if (path?.transport) stats.transport = path.transport;
  if (path?.rttMs !== undefined) stats.rtt_ms = tenth(path.rttMs);
  if (jitter !== undefined) stats.jitter_ms = tenth(jitter * 1000);
  if (before) addRates(stats, totals, before);
  return { stats, totals };
}

/** The summaries of all peers as one report, as many as fit. */
export function fitReport(peers: Record<string, PeerStats>): Record<string, PeerStats> {
  const fitting: Record<string, PeerStats> = {};
  let size = 2;
  for (const [id, stats] of Object.entries(peers)) {
    size += JSON.stringify({ [id]: stats }).length;
    if (size > MAX_REPORT_BYTES) break;
    fitting[id] = stats;
  }
  return fitting;
}

function addRates(stats: PeerStats, now: Totals, before: Totals): void {
  const ms = now.atMs - before.atMs;
  // A new connection counts from zero again.
  if (ms <= 0 || now.bytesIn < before.bytesIn || now.received < before.received) return;
  const [received, lost] = [now.received - before.received, now.lost - before.lost];
  if (received + lost > 0) stats.lost = Math.max(0, Math.round((lost / (received + lost)) * 1e4) / 1e4);
  stats.send_kbps = Math.round(((now.bytesOut - before.bytesOut) * 8) / ms);
  stats.receive_kbps = Math.round(((now.bytesIn - before.bytesIn) * 8) / ms);
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
