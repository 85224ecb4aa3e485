/** Beats that may be missed before either side gives the connection up (tourbillon.v1). */
const MISSED_BEATS = 3;
/** A gap between two ticks above this many ticks means that this page stood still, not the server. */
const STALL_TICKS = 8;

/** Judges from the server's beats whether the connection lives. Times are milliseconds of one monotonic clock. */
export class BeatWatch {
  /** How often tick should be called. */
  readonly tickMs: number;
  private readonly limit: number;
  private lastHeard: number;
  private lastTick: number;

  constructor(heartbeatMs: number, toleranceMs: number, now: number) {
    this.tickMs = Math.max(50, heartbeatMs / 4);
    this.limit = MISSED_BEATS * heartbeatMs + toleranceMs;
    this.lastHeard = now;
    this.lastTick = now;
  }

  heard(now: number): void {
    this.lastHeard = now;
  }

  /** Reports whether the connection is dead. After a stall of this page the waiting messages get their turn first. */
  tick(now: number): boolean {
    const stalled = now - this.lastTick > STALL_TICKS * this.tickMs;
    this.lastTick = now;
    if (stalled) this.lastHeard = now;
    return now - this.lastHeard > this.limit;
  }
}
