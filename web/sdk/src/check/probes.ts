/** What the appliance's probes met on their way to this browser and back. */
export interface ProbeResult {
  sent: number;
  received: number;
  /** From 0 to 1. */
  lossShare: number;
  reordered: number;
  /** The smoothed round trip (RFC 6298) in milliseconds; null when no probe came back. */
  rttMs: number | null;
  /** Interarrival jitter (RFC 3550, section 6.4.1) in milliseconds; null when there was nothing to compare. */
  jitterMs: number | null;
}

/** The appliance's own words at the end of a series, as it sends them on the channel "measure". */
interface Told {
  sent: number;
  received: number;
  reordered: number;
  rtt_us: number;
  jitter_us: number;
}

/** The most probes that the appliance sends in one series, and the shortest time between two. */
const MAX_PROBES = 1000;
/** As often as audio packets leave, and about as large. */
const INTERVAL_MS = 20;
const PROBE_BYTES = 160;

export interface ProbeRequest {
  count: number;
  interval_ms: number;
  size: number;
}

/** What to ask for so that the series lasts so long. */
export function probeRequest(durationMs: number): ProbeRequest {
  const interval = Math.max(INTERVAL_MS, Math.ceil(durationMs / MAX_PROBES));
  return { count: Math.max(1, Math.floor(durationMs / interval)), interval_ms: interval, size: PROBE_BYTES };
}

/** RFC 3550, section 6.4.1: each difference moves the estimate by a sixteenth. */
const JITTER_GAIN = 1 / 16;

/**
 * One series as this end sees it. The appliance has both directions and its words are preferred, but they come on the
 * channel that is measured, and where packets get lost they may be lost, too.
 */
export class Probes {
  private readonly seen = new Set<number>();
  private highest = -1;
  private reordered = 0;
  private jitter = 0;
  private before: number | null = null;

  constructor(private readonly request: ProbeRequest) {}

  /** Whether the appliance has begun. */
  get begun(): boolean {
    return this.seen.size > 0;
  }

  /** Takes a probe that came at nowMs. False for what is none. */
  take(data: unknown, nowMs: number): data is ArrayBuffer {
    if (!(data instanceof ArrayBuffer) || data.byteLength !== this.request.size) return false;
    const view = new DataView(data);
    const number = view.getUint32(0);
    if (number >= this.request.count || this.seen.has(number)) return true;
    this.seen.add(number);
    if (number < this.highest) this.reordered++;
    this.highest = Math.max(this.highest, number);
    // The clocks of both ends differ by a constant, which differences do not show.
    const transit = nowMs - Number(view.getBigInt64(4)) / 1e6;
    if (this.before !== null) this.jitter += (Math.abs(transit - this.before) - this.jitter) * JITTER_GAIN;
    this.before = transit;
    return true;
  }

  /** What this end has seen, one way. */
  result(rttMs: number | null): ProbeResult {
    const { count } = this.request;
    const jitterMs = this.seen.size < 2 ? null : tenth(this.jitter);
    return { ...shares(count, this.seen.size), reordered: this.reordered, rttMs: rttMs && tenth(rttMs), jitterMs };
  }
}

/** Reads what the appliance says at the end; null for anything else, and the reason where it refused. */
export function readTold(data: unknown): ProbeResult | { error: string } | null {
  if (typeof data !== 'string') return null;
  const told = JSON.parse(data) as Partial<Told> & { error?: string };
  if (told.error !== undefined) return { error: told.error };
  const { sent = 0, received = 0, reordered = 0, rtt_us = 0, jitter_us = 0 } = told;
  return {
    ...shares(sent, received),
    reordered,
    rttMs: received === 0 ? null : tenth(rtt_us / 1000),
    jitterMs: received < 2 ? null : tenth(jitter_us / 1000),
  };
}

function shares(sent: number, received: number): Pick<ProbeResult, 'sent' | 'received' | 'lossShare'> {
  return { sent, received, lossShare: sent === 0 ? 0 : Math.round(((sent - received) / sent) * 1e4) / 1e4 };
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
