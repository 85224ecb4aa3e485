import { BeatWatch } from './beat.js';
import type { Clock } from './clock.js';
import { type ClientMessage, type ServerMessage, SUBPROTOCOL, parseMessage } from './protocol.js';
import { startTicker } from './ticker.js';

/** How long a socket may take from its start to the server's "joined" or "resumed". */
const ENTER_MS = 8000;

export interface LinkHandlers {
  open(): void;
  message(message: ServerMessage): void;
  /** The link is over, for whatever reason; called once, and not after close. The code is the close frame's, if any. */
  lost(code?: number): void;
}

/** One WebSocket from opening to its end, with the heartbeat. The uplink that opened it owns it. */
export class Link {
  private readonly socket: WebSocket;
  private watch: BeatWatch | null = null;
  private stopTicker: (() => void) | null = null;
  private readonly cancelEnterTimer: () => void;
  private ended = false;

  constructor(
    url: string,
    private readonly clock: Clock,
    private readonly handlers: LinkHandlers,
  ) {
    this.socket = new WebSocket(url, SUBPROTOCOL);
    this.socket.onopen = () => handlers.open();
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event?: CloseEvent) => this.lose(event?.code);
    this.cancelEnterTimer = clock.after(ENTER_MS, () => this.lose());
  }

  /** Starts to expect the server's beats, or to expect them at another interval. */
  expectBeats(heartbeatMs: number, toleranceMs: number): void {
    this.cancelEnterTimer();
    this.stopTicker?.();
    const watch = new BeatWatch(heartbeatMs, toleranceMs, this.clock.now());
    this.watch = watch;
    const tick = (): void => {
      if (watch.tick(this.clock.now())) this.lose();
    };
    this.stopTicker = startTicker(watch.tickMs, tick, this.clock);
  }

  /** False when the message did not go out: the socket is not open. */
  send(message: ClientMessage): boolean {
    if (this.ended || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    this.cancelEnterTimer();
    this.stopTicker?.();
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  /** A dead socket can take minutes to report its close, so the end is declared here, not awaited. */
  lose(code?: number): void {
    if (this.ended) return;
    this.close();
    this.handlers.lost(code);
  }

  private receive(data: unknown): void {
    this.watch?.heard(this.clock.now());
    const message = parseMessage(data);
    if (message) this.handlers.message(message);
  }
}

/** The WebSocket of the page's own origin. */
export function defaultURL(): string {
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
