/** What a series of numbered packets met on its way. Times are milliseconds. */
export interface SeriesResult {
  sent: number;
  received: number;
  /** From 0 to 1. */
  lossShare: number;
  reordered: number;
  rttMs: { min: number; median: number; p95: number } | null;
  /** Interarrival jitter (RFC 3550, section 6.4.1). */
  jitterMs: number | null;
}

/** RFC 3550, section 6.4.1: each difference moves the estimate by a sixteenth. */
const JITTER_GAIN = 1 / 16;

/** Counts a series. Both ends are in one page, so one clock tells when a packet left and when it came. */
export class Series {
  private sent = 0;
  private readonly transits = new Map<number, number>();
  private highest = -1;
  private reordered = 0;
  private jitter = 0;
  private before: number | null = null;

  /** The number of the next packet. */
  leave(): number {
    return this.sent++;
  }

  arrive(seq: number, leftMs: number, nowMs: number): void {
    if (seq < 0 || seq >= this.sent || this.transits.has(seq)) return;
    const transit = nowMs - leftMs;
    this.transits.set(seq, transit);
    if (seq < this.highest) this.reordered++;
    this.highest = Math.max(this.highest, seq);
    if (this.before !== null) this.jitter += (Math.abs(transit - this.before) - this.jitter) * JITTER_GAIN;
    this.before = transit;
  }

  get isComplete(): boolean {
    return this.transits.size === this.sent;
  }

  result(): SeriesResult {
    const sorted = [...this.transits.values()].sort((a, b) => a - b);
    const received = sorted.length;
    const at = (share: number): number => tenth(sorted[Math.floor(share * (received - 1))] ?? 0);
    return {
      sent: this.sent,
      received,
      lossShare: this.sent === 0 ? 0 : Math.round(((this.sent - received) / this.sent) * 1e4) / 1e4,
      reordered: this.reordered,
      rttMs: received === 0 ? null : { min: at(0), median: at(0.5), p95: at(0.95) },
      jitterMs: received < 2 ? null : tenth(this.jitter),
    };
  }
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
