import { RELAY_MODES, type RelayMode } from '../ice-servers.js';
import type { ProbeResult } from './probes.js';
import type { SeriesResult } from './series.js';

/** The ways that are looked at: straight out by UDP, and through the relay by each transport. */
export type Way = 'direct' | RelayMode;

/**
 * "works", "fails"; "not-offered": this server has no such way; "waiting" and "running": no answer yet; "unfinished": the
 * connection to the server broke off, or the check was ended, before there was one.
 */
export type WayState = 'waiting' | 'running' | 'works' | 'fails' | 'not-offered' | 'unfinished';

export interface WayResult {
  state: WayState;
  /** Milliseconds from the start until the way worked. */
  openedMs?: number;
  /** Of the direct way: "call", packets went both ways with the server; "stun", its STUN service answered, no more. */
  proof?: 'call' | 'stun';
  /** The series that was sent through the relay and back. */
  series?: SeriesResult;
  /** Why it fails, in the browser's words, or that too much got lost. */
  reason?: string;
}

/**
 * "good": calls work and sound well; "partly": they work, with what is named; "bad": no way works; "unfinished": the
 * connection to the server broke off in the middle, so the check is to be repeated, or it was ended, which is no finding.
 */
export type Verdict = 'running' | 'good' | 'partly' | 'bad' | 'unfinished';

/** What stands behind a verdict, for programs; texts for people come with it. */
export type Finding =
  | 'no-server'
  | 'refused'
  | 'server-lost'
  | 'no-media-path'
  | 'mostly-lost'
  | 'no-udp'
  | 'tls-only'
  | 'no-direct-udp'
  | 'relay-tcp-only'
  | 'no-relay'
  | 'slow'
  | 'jittery'
  | 'lossy'
  | 'tcp-fails'
  | 'tls-fails';

/** What a call would meet on the best way: a series of probes between this browser and the server as a peer. */
export interface CallResult extends ProbeResult {
  way: Way;
}

/** "lost": it worked, and broke off in the middle of the check; "unfinished": the check was ended before an answer. */
export type SignalingState = 'waiting' | 'works' | 'fails' | 'lost' | 'unfinished';

/** The JSON that a check results in. It holds no address of this host. */
export interface CheckReport {
  version: 1;
  /** What was measured, in words: who reads the numbers must know between which ends they are. */
  measured: string;
  /** ISO 8601, of this host's clock. */
  startedAt: string;
  server: string;
  browser: string;
  verdict: Verdict;
  findings: Finding[];
  /** The way to the signaling server. */
  signaling: { state: SignalingState; openedMs?: number; code?: string; reason?: string };
  ways: Record<Way, WayResult>;
  /** Left out where the server takes no calls, or somebody else is in the room. */
  call?: CallResult;
}

export const MEASURED =
  'The ways through the relay are measured by small packets from this browser to the server’s relay and back to this ' +
  'browser, for each transport by itself. What a call would meet is measured between this browser and the server as the ' +
  'other end of a call, on the best way that works. Nothing here tells of the way between the server and other people.';

/** Ways of media, the best first. */
export const WAYS: readonly Way[] = ['direct', ...RELAY_MODES];

/** ITU-T G.114 has 150 ms from mouth to ear; a round trip to the relay is about that way between two such people. */
export const SLOW_RTT_MS = 150;
/** A receiver's jitter buffer hides less than this without added delay that is heard. */
export const JITTERY_MS = 30;
/** From one packet in fifty on, concealment of lost audio is heard. */
export const LOSSY_SHARE = 0.02;
/** A way that loses this much carries no call. Over TCP and TLS, which lose nothing, it is a stream that died. */
export const DEAD_SHARE = 0.5;

/** Why a way that met this loss fails, null where it does not. */
export function deadReason({ lossShare }: { lossShare: number }): string | null {
  return lossShare < DEAD_SHARE ? null : `${Math.round(lossShare * 100)} % of the packets got lost`;
}

/**
 * What is left of a report when the server was lost or the check was ended: what was measured whole before. A failure
 * then, and loss, may come of that, and are not held against the way.
 */
export function cutShort(report: CheckReport): CheckReport {
  const lossless = (met: { lossShare: number } | undefined): boolean => (met?.lossShare ?? 0) <= LOSSY_SHARE;
  const known = ({ state, series }: WayResult): boolean => state === 'not-offered' || (state === 'works' && lossless(series));
  const ways = Object.fromEntries(
    WAYS.map((way) => [way, known(report.ways[way]) ? report.ways[way] : { state: 'unfinished' }]),
  ) as CheckReport['ways'];
  const { call, ...rest } = report;
  return { ...rest, ways, ...(call && lossless(call) && { call }) };
}

/** Judges a complete report: the findings, and the verdict that they lead to. */
export function judge(report: Pick<CheckReport, 'signaling' | 'ways' | 'call'>): { verdict: Verdict; findings: Finding[] } {
  const { signaling, ways, call } = report;
  if (signaling.state === 'lost') return { verdict: 'unfinished', findings: ['server-lost'] };
  if (signaling.state === 'fails') {
    return { verdict: 'bad', findings: [signaling.code === 'unreachable' ? 'no-server' : 'refused'] };
  }
  const carries = call && !deadReason(call); // A dead way is named by the paths, and says nothing of the others.
  const findings = [...pathFindings(ways), ...qualityFindings(carries ? call : relayed(ways))];
  const [first] = findings;
  if (first === 'no-media-path' || first === 'mostly-lost') return { verdict: 'bad', findings: [first] };
  return { verdict: findings.length === 0 ? 'good' : 'partly', findings };
}

function isDead({ series }: WayResult): boolean {
  return series !== undefined && series.lossShare >= DEAD_SHARE;
}

function isAlive(result: WayResult): boolean {
  return result.state === 'works' && !isDead(result);
}

function pathFindings(ways: CheckReport['ways']): Finding[] {
  const works = (way: Way): boolean => isAlive(ways[way]);
  const fails = (way: Way): boolean => ways[way].state === 'fails' || isDead(ways[way]);
  const relays = works('udp') || works('tcp') || works('tls');
  if (!relays && !works('direct')) return [WAYS.some((way) => ways[way].openedMs !== undefined) ? 'mostly-lost' : 'no-media-path'];
  const findings: Finding[] = [];
  if (works('tls') && fails('direct') && fails('udp') && !works('tcp')) return ['tls-only'];
  if (!relays) findings.push('no-relay');
  if (relays && fails('udp') && fails('direct')) findings.push('no-udp');
  else if (relays && fails('udp')) findings.push('relay-tcp-only');
  else if (fails('direct')) findings.push('no-direct-udp');
  if (relays && fails('tcp')) findings.push('tcp-fails');
  if (relays && fails('tls')) findings.push('tls-fails');
  return findings;
}

interface Quality {
  rttMs: number | null;
  jitterMs: number | null;
  lossShare: number;
}

/** The best relayed way that works is the one that a call would use. */
function relayed(ways: CheckReport['ways']): Quality | undefined {
  const best = RELAY_MODES.find((way) => isAlive(ways[way]));
  const series = best && ways[best].series;
  return series && { ...series, rttMs: series.rttMs?.median ?? null };
}

function qualityFindings(quality: Quality | undefined): Finding[] {
  if (!quality) return [];
  const findings: Finding[] = [];
  if ((quality.rttMs ?? 0) > SLOW_RTT_MS) findings.push('slow');
  if ((quality.jitterMs ?? 0) > JITTERY_MS) findings.push('jittery');
  if (quality.lossShare > LOSSY_SHARE) findings.push('lossy');
  return findings;
}
