import type { Clock } from './clock.js';
import { type RepairCause, repairDelay } from './negotiation.js';

/** When a connection is helped next, and why. */
export class RepairTimer {
  private cancel: (() => void) | null = null;
  private due = Infinity;
  private latest: RepairCause = 'stalled';
  /** Until when the server acts. */
  private leftUntil = -Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly repair: (cause: RepairCause) => void,
  ) {}

  /** The cause that was scheduled last. */
  get cause(): RepairCause {
    return this.latest;
  }

  /** The earliest of several causes decides. What is left to the server for a while waits for as long as it acts. */
  schedule(cause: RepairCause, polite: boolean, leaveMs = 0): void {
    const delay = repairDelay(cause, polite) + leaveMs;
    this.arm(cause, leaveMs > 0 ? Math.max(delay, this.leftUntil - this.clock.now()) : delay);
  }

  /** The server acts for so long: leaves it to it, whatever comes meanwhile. */
  leave(delayMs: number): void {
    this.leftUntil = this.clock.now() + delayMs;
    this.postpone(delayMs);
  }

  /** The server does nothing more about it. */
  takeBack(): void {
    this.leftUntil = -Infinity;
  }

  /** Puts what is scheduled off, to so long from now at the earliest. */
  postpone(delayMs: number): void {
    if (this.due === Infinity || this.due >= this.clock.now() + delayMs) return;
    const cause = this.latest;
    this.clear();
    this.arm(cause, delayMs);
  }

  /** Tries after so long, and not before. */
  restAndRetry(delayMs: number): void {
    this.clear();
    this.arm('stalled', delayMs);
  }

  private arm(cause: RepairCause, delay: number): void {
    const due = this.clock.now() + delay;
    if (due >= this.due) return;
    this.clear();
    this.due = due;
    this.latest = cause;
    this.cancel = this.clock.after(delay, () => this.repair(cause));
  }

  clear(): void {
    this.cancel?.();
    this.cancel = null;
    this.due = Infinity;
  }
}
