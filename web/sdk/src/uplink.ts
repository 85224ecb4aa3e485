import { Allowance } from './allowance.js';
import { backoffDelay } from './backoff.js';
import type { Clock } from './clock.js';
import { TourbillonError, endsRoom, isPassing, overflow, refusesResume, replaced, tooLargeUnsaid } from './errors.js';
import { Link } from './link.js';
import { Outbox } from './outbox.js';
import type {
  Bye,
  ClientMessage,
  ErrorMessage,
  IceServersMessage,
  Joined,
  Lasting,
  Limits,
  Metadata,
  News,
  Resumed,
  ServerMessage,
} from './protocol.js';
import { excess } from './sizes.js';

const CLIENT = 'tourbillon-web/1';
/** The close code that says that another connection took the session up. */
const CLOSE_REPLACED = 4001;
/** The close code after a message over the limit (RFC 6455 section 7.4.1). */
const CLOSE_TOO_LARGE = 1009;

/** Where to go in, and as whom. */
export interface Entrance {
  url: string;
  room: string;
  name?: string | undefined;
  metadata?: Metadata | undefined;
  token?: string | undefined;
  heartbeatMs?: number | undefined;
  toleranceMs: number;
}

export interface UplinkHandlers {
  joined(message: Joined): void;
  resumed(message: Resumed): void;
  /** News of the room: in order, each once. */
  told(news: News): void;
  iceServers(message: IceServersMessage): void;
  draining(notice: Bye): void;
  /** The server is lost; the uplink comes back by itself. */
  lost(): void;
  refused(error: TourbillonError): void;
  /** No use to come back. */
  ended(error: TourbillonError): void;
}

/**
 * The way to the server over any number of sockets: comes back after each loss, resumes the session and joins anew when
 * that is refused, sends again what got lost and passes over what came before.
 */
export class Uplink {
  private link: Link | null = null;
  private entered = false;
  private closed = false;
  private session: string | undefined;
  private known = false;
  private resuming = false;
  private last = 0;
  private attempt = 0;
  private retryAfter: number | null = null;
  private cancelRetry: (() => void) | null = null;
  private cancelFlush: (() => void) | null = null;
  private limits: Limits | null = null;
  private readonly outbox = new Outbox();
  private readonly allowance = new Allowance();

  constructor(
    private readonly entrance: Entrance,
    private readonly clock: Clock,
    private readonly handlers: UplinkHandlers,
  ) {}

  get isEntered(): boolean {
    return this.entered;
  }

  get everEntered(): boolean {
    return this.known;
  }

  /** Opens a socket at once, unless there is one. */
  connect(): void {
    if (this.link || this.closed) return;
    this.cancelRetry?.();
    const link: Link = new Link(this.entrance.url, this.clock, {
      open: () => this.enter(link),
      message: (message) => this.receive(link, message),
      lost: (code) => this.lost(code),
    });
    this.link = link;
  }

  /** Sends something that must arrive: now, or as soon as the session goes on. Throws a TooLargeError. */
  tell(message: Lasting): void {
    if (this.closed) return;
    const tooLarge = excess({ ...message, n: this.outbox.nextNumber }, this.limits);
    if (tooLarge) throw tooLarge;
    const added = this.outbox.add(message) || (this.entered && this.outbox.makeRoom() && this.outbox.add(message));
    if (!added) return this.handlers.refused(overflow());
    this.flush();
  }

  /** Sends something that only matters now; false when it did not go out, as what is too large never does. */
  say(message: ClientMessage): boolean {
    // The end of a connection is laid to the numbered messages, so that it may not be this one's doing.
    return this.entered && !excess(message, this.limits) && (this.link?.send(message) ?? false);
  }

  /** What a later join says of this end. */
  describe(name: string | undefined, metadata: Metadata | undefined): void {
    if (name !== undefined) this.entrance.name = name;
    if (metadata !== undefined) this.entrance.metadata = metadata;
  }

  close(): void {
    if (this.closed) return;
    this.say({ type: 'leave' });
    this.closed = true;
    this.entered = false;
    this.cancelRetry?.();
    this.cancelFlush?.();
    this.link?.close();
    this.link = null;
  }

  private enter(link: Link): void {
    const { heartbeatMs } = this.entrance;
    link.send({ type: 'hello', client: CLIENT, class: 'browser', ...(heartbeatMs && { heartbeat_ms: heartbeatMs }) });
    this.resuming = this.session !== undefined;
    if (this.session !== undefined) link.send({ type: 'resume', session: this.session, last: this.last });
    else this.join(link);
  }

  private join(link: Link): void {
    const { room, name, metadata, token } = this.entrance;
    this.resuming = false;
    link.send({ type: 'join', room, name, metadata, token, session: this.session });
  }

  private receive(link: Link, message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        return this.welcomed(message.limits);
      case 'joined':
        return this.joined(link, message);
      case 'resumed':
        return this.resumed(link, message);
      case 'ping':
        return this.ping(link, message);
      case 'heartbeat':
        return link.expectBeats(message.heartbeat_ms, this.entrance.toleranceMs);
      case 'ice-servers':
        return this.handlers.iceServers(message);
      case 'bye':
        this.retryAfter = message.retry_after_ms;
        return this.handlers.draining(message);
      case 'error':
        return this.refused(link, message);
      default:
        return this.told(message);
    }
  }

  private welcomed(limits: Limits | undefined): void {
    this.limits = limits ?? null;
    if (!limits) return;
    this.allowance.configure(limits.messages_per_s, limits.burst);
  }

  private joined(link: Link, message: Joined): void {
    if (this.known) this.outbox.restarted();
    this.last = 0;
    this.seated(link, message);
    this.handlers.joined(message);
    this.flush();
  }

  private resumed(link: Link, message: Resumed): void {
    this.outbox.resumed(message.got);
    this.seated(link, message);
    this.handlers.resumed(message);
    this.flush();
  }

  private seated(link: Link, { session, heartbeat_ms }: Joined | Resumed): void {
    this.session = session;
    this.entered = this.known = true;
    this.retryAfter = null;
    link.expectBeats(heartbeat_ms, this.entrance.toleranceMs);
  }

  private ping(link: Link, { seq, got }: { seq: number; got?: number }): void {
    // A server that joins us and dies before its first beat must not be asked again without a pause.
    this.attempt = 0;
    if (got !== undefined) this.outbox.acknowledge(got);
    link.send({ type: 'pong', seq, last: this.last });
  }

  private told(news: News): void {
    if (this.isNew(news.n)) this.handlers.told(news);
  }

  /** Notes a message's number; false when it was seen before the socket dropped. */
  private isNew(n: number | undefined): boolean {
    if (n !== undefined && n <= this.last) return false;
    this.last = n ?? this.last;
    return true;
  }

  private refused(link: Link, { n, re, code, message, remedy, fatal }: ErrorMessage): void {
    if (!this.isNew(n)) return;
    if (!this.entered && this.resuming && refusesResume(code)) return this.rejoin(link, code);
    const ends = this.ends(code, fatal);
    const error = new TourbillonError(code, message, remedy, ends, re);
    if (ends) return this.handlers.ended(error);
    if (this.entered && fatal && !isPassing(code)) this.outbox.condemn();
    // A signal to a peer that has just left is nobody's mistake.
    if (code !== 'unknown-peer' || re !== undefined) this.handlers.refused(error);
    if (!this.entered && isPassing(code)) link.lose();
  }

  private ends(code: string, fatal: boolean): boolean {
    if (this.entered) return fatal && endsRoom(code, false);
    // A later join says what the page has made of it since. What a session's seat stands in the way of, passes with it.
    const joining = !this.resuming && !(this.everEntered && refusesResume(code));
    return endsRoom(code, joining);
  }

  private rejoin(link: Link, code: string): void {
    if (code === 'bad-session') this.session = undefined;
    this.join(link);
  }

  private lost(code: number | undefined): void {
    const wasEntered = this.entered;
    this.link = null;
    this.entered = false;
    this.cancelFlush?.();
    this.cancelFlush = null;
    if (code === CLOSE_REPLACED) return this.handlers.ended(replaced());
    if (code === CLOSE_TOO_LARGE && !wasEntered) return this.handlers.ended(tooLargeUnsaid(true));
    if (code === CLOSE_TOO_LARGE && !this.outbox.isCondemned) {
      this.outbox.condemn();
      this.handlers.refused(tooLargeUnsaid(false));
    }
    this.handlers.lost();
    if (this.closed) return;
    const delay = this.retryAfter ?? backoffDelay(this.attempt++, this.clock.random());
    this.retryAfter = null;
    this.cancelRetry = this.clock.after(delay, () => this.connect());
  }

  /** Gives the socket what waits, no faster than the server takes it. */
  private flush(): void {
    if (!this.entered || this.cancelFlush) return;
    for (let message = this.outbox.next(); message && this.link; message = this.outbox.next()) {
      const wait = this.allowance.take(this.clock.now());
      if (wait > 0) {
        this.cancelFlush = this.clock.after(wait, () => {
          this.cancelFlush = null;
          this.flush();
        });
        return;
      }
      if (!this.link.send(message)) return;
      this.outbox.wrote();
    }
  }
}
