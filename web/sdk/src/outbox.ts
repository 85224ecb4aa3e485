import type { Lasting } from './protocol.js';

/** Bounds of what is kept for the server to have missed. */
const MAX_KEPT = 512;
const MAX_KEPT_CHARS = 512 * 1024;

type Numbered = Lasting & { n: number };
interface Kept {
  message: Numbered;
  size: number;
}

/** Numbers this end's messages and keeps those that the server may not have got. */
export class Outbox {
  private kept: Kept[] = [];
  /** How many of the kept ones were given to a socket. */
  private written = 0;
  private lastNumber = 0;
  private chars = 0;
  private condemned = false;

  /** The number that the next message gets. */
  get nextNumber(): number {
    return this.lastNumber + 1;
  }

  /** Whether a message was condemned since the session last went on. */
  get isCondemned(): boolean {
    return this.condemned;
  }

  /** Numbers a message; false when there is no room for it. */
  add(message: Lasting): boolean {
    const size = JSON.stringify(message).length;
    if (this.kept.length >= MAX_KEPT || this.chars + size > MAX_KEPT_CHARS) return false;
    this.kept.push({ message: { ...message, n: ++this.lastNumber }, size });
    this.chars += size;
    return true;
  }

  /**
   * Forgets the older half of what was written to a socket that still lives; false when that is nothing. Only needed
   * with a server that acknowledges nothing between two sockets.
   */
  makeRoom(): boolean {
    const count = Math.ceil(this.written / 2);
    this.forget(count);
    return count > 0;
  }

  /** The next message that no socket was given, null when there is none. */
  next(): Numbered | null {
    return this.kept[this.written]?.message ?? null;
  }

  /** Notes that next was given to a socket. */
  wrote(): void {
    this.written++;
  }

  /** Drops what the server has got. */
  acknowledge(got: number): void {
    const first = this.kept[0]?.message.n ?? Infinity;
    if (got >= first) this.forget(Math.min(got - first + 1, this.kept.length));
  }

  /**
   * The first message that the server has not got ended the connection, and would end the next. Which one that is only
   * the resume tells.
   */
  condemn(): void {
    this.condemned = true;
  }

  /** The session goes on: drops what the server has got and what is condemned, the rest is to be written again. */
  resumed(got: number): void {
    this.acknowledge(got);
    if (this.condemned && this.written > 0) this.forget(1);
    this.written = 0;
    this.condemned = false;
  }

  /**
   * A session did not survive, and numbers begin anew. What was written may have arrived, so only what was not is
   * written again; and a signal of then means nothing to a connection that is looked at anew.
   */
  restarted(): void {
    const waiting = this.kept.slice(this.written).map(({ message }) => message);
    this.kept = [];
    this.written = this.lastNumber = this.chars = 0;
    this.condemned = false;
    for (const message of waiting) if (message.type === 'message' || message.type === 'update') this.add(message);
  }

  private forget(count: number): void {
    for (const { size } of this.kept.splice(0, count)) this.chars -= size;
    this.written = Math.max(0, this.written - count);
  }
}
