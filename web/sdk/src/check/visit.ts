import type { Clock } from '../clock.js';
import { TourbillonError, unreachable } from '../errors.js';
import { Link } from '../link.js';
import type { IceServer, Joined, ServerMessage, Signal } from '../protocol.js';
import { type Patience, within } from './wait.js';

/** The peer that every room has: the server itself (tourbillon.v1, Negotiation). */
const APPLIANCE = '@appliance';
/** What the check calls itself. */
const CLIENT = 'tourbillon-check/1';
/** Silence beyond three heartbeats that is still forgiven: a check keeps the page busy. */
const TOLERANCE_MS = 2000;

export interface Entrance {
  url: string;
  room: string;
  token?: string | undefined;
  clock: Clock;
  timeoutMs: number;
  signal: AbortSignal;
  /** Called when the server goes away while the visitor is there, before any call is told. */
  lost(): void;
}

/** What the visitor hears of its call to the appliance. */
export interface CallHandlers {
  answered(sdp: string): void;
  /** There is no call, or no server any more. */
  ended(error: TourbillonError): void;
}

/**
 * A seat in a room for the time of a check. It is given up as soon as anybody else is in the room: to them this would
 * be a guest who says nothing. Whoever entered leaves.
 */
export class Visit {
  private handlers: CallHandlers | null = null;
  private left: TourbillonError | null = null;

  private constructor(
    private readonly link: Link,
    readonly servers: readonly IceServer[],
    /** Names the server's process: another name is another process. */
    readonly server: string,
  ) {}

  /** Enters. Rejects with a TourbillonError. */
  static enter(entrance: Entrance): Promise<Visit> {
    const { url, room, token, clock, timeoutMs, signal } = entrance;
    return new Promise((resolve, reject) => {
      let visit: Visit | null = null;
      const fail = (error: TourbillonError): void => {
        cancel();
        if (visit) return visit.end(error);
        link.close();
        reject(error);
      };
      const cancel = clock.after(timeoutMs, () => fail(unreachable()));
      const link = new Link(url, clock, {
        open: () => link.send({ type: 'join', room, name: 'Connection check', ...(token && { token }) }),
        message(message) {
          if (visit) return visit.receive(message);
          if (message.type === 'error') return fail(refusal(message));
          if (message.type !== 'joined') return;
          cancel();
          visit = new Visit(link, message.ice_servers ?? [], message.server);
          visit.seated(message);
          resolve(visit);
        },
        lost() {
          if (visit) entrance.lost();
          fail(unreachable());
        },
      });
      const abort = (): void => fail(new TourbillonError('left', 'the check was ended'));
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });
  }

  /** Whose calls the handlers are of from now on. What ended before is told at once. */
  listen(handlers: CallHandlers): void {
    this.handlers = handlers;
    if (this.left) handlers.ended(this.left);
  }

  /** Says something to the appliance; it is lost when the seat is. */
  say(signal: Signal): void {
    this.link.send({ ...signal, to: APPLIANCE });
  }

  leave(): void {
    this.handlers = null;
    this.end(new TourbillonError('left', 'the check is over'));
  }

  private seated({ peers, heartbeat_ms }: Joined): void {
    if ((peers ?? []).length > 0) this.end(new TourbillonError('left', 'somebody is in the room'));
    else this.link.expectBeats(heartbeat_ms, TOLERANCE_MS);
  }

  private receive(message: ServerMessage): void {
    switch (message.type) {
      case 'ping':
        this.link.send({ type: 'pong', seq: message.seq });
        return;
      case 'heartbeat':
        return this.link.expectBeats(message.heartbeat_ms, TOLERANCE_MS);
      case 'peer-joined':
        return this.end(new TourbillonError('left', 'somebody came into the room'));
      case 'answer':
        if (message.from === APPLIANCE) this.handlers?.answered(message.sdp);
        return;
      case 'error':
        // The visitor speaks of nothing but its call.
        return this.handlers?.ended(refusal(message));
    }
  }

  private end(error: TourbillonError): void {
    if (this.left) return;
    this.left = error;
    this.link.send({ type: 'leave' });
    this.link.close();
    this.handlers?.ended(error);
  }
}

/**
 * Asks which process the server is, on a socket of its own. Rejects when none answers in time, and at once when the check
 * was ended.
 */
export async function serverAt(url: string, timeoutMs: number, patience: Patience): Promise<string> {
  let link: Link | undefined;
  const named = new Promise<string>((resolve, reject) => {
    const asked = new Link(url, patience.clock, {
      open: () => asked.send({ type: 'hello', client: CLIENT, class: 'browser' }),
      message: (message) => message.type === 'welcome' && resolve(message.server),
      lost: () => reject(unreachable()),
    });
    link = asked;
  });
  try {
    return await within(named, timeoutMs, patience, unreachable);
  } finally {
    link?.close();
  }
}

function refusal(error: Extract<ServerMessage, { type: 'error' }>): TourbillonError {
  return new TourbillonError(error.code, error.message, error.remedy, error.fatal);
}
