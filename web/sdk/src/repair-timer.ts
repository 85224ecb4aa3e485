import type { Clock } from './clock.js';
import { type RepairCause, repairDelay } from './negotiation.js';

/** When a connection is helped next, and why. */
export class RepairTimer {
  private cancel: (() => void) | null = null;
  private due = Infinity;
  private latest: RepairCause = 'stalled';

  constructor(
    private readonly clock: Clock,
    private readonly repair: (cause: RepairCause) => void,
  ) {}

  /** The cause that was scheduled last. */
  get cause(): RepairCause {
    return this.latest;
  }

  /** The earliest of several causes decides. */
  schedule(cause: RepairCause, polite: boolean, extraMs = 0): void {
    this.arm(cause, repairDelay(cause, polite) + extraMs);
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
