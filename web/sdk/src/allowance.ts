/** The share of the server's limits that is used: its clock and ours differ, and other messages count, too. */
const SHARE = 0.8;

/** A token bucket that keeps this end below the rate at which the server drops messages. */
export class Allowance {
  private used = 0;
  private last = 0;
  private perMs = (20 * SHARE) / 1000;
  private burst = 60 * SHARE;

  /** Takes the limits that a "welcome" tells. */
  configure(messagesPerSecond: number, burst: number): void {
    this.perMs = (messagesPerSecond * SHARE) / 1000;
    this.burst = Math.max(1, burst * SHARE);
  }

  /** Takes leave to send one message: 0, or the milliseconds to wait before asking again. */
  take(now: number): number {
    this.used = Math.max(0, this.used - (now - this.last) * this.perMs);
    this.last = now;
    if (this.used + 1 > this.burst) return Math.max(1, (this.used + 1 - this.burst) / this.perMs);
    this.used++;
    return 0;
  }
}
