import { BeatWatch } from './beat.js';
import { type ClientMessage, type ServerMessage, SUBPROTOCOL, parseMessage } from './protocol.js';
import { startTicker } from './ticker.js';

/** How long a socket may take from its start to the server's "joined". */
const JOIN_MS = 8000;

export interface LinkHandlers {
  open(): void;
  message(message: ServerMessage): void;
  /** The link is over, for whatever reason; called once, and not after close. */
  lost(): void;
}

/** One WebSocket from opening to its end, with the heartbeat. The Room that opened it owns it. */
export class Link {
  private readonly socket: WebSocket;
  private watch: BeatWatch | null = null;
  private stopTicker: (() => void) | null = null;
  private readonly joinTimer: ReturnType<typeof setTimeout>;
  private ended = false;

  constructor(
    url: string,
    private readonly handlers: LinkHandlers,
  ) {
    this.socket = new WebSocket(url, SUBPROTOCOL);
    this.socket.onopen = () => handlers.open();
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => this.lose();
    this.joinTimer = setTimeout(() => this.lose(), JOIN_MS);
  }

  /** Starts to expect the server's beats. */
  expectBeats(heartbeatMs: number, toleranceMs: number): void {
    clearTimeout(this.joinTimer);
    this.stopTicker?.();
    const watch = new BeatWatch(heartbeatMs, toleranceMs, performance.now());
    this.watch = watch;
    this.stopTicker = startTicker(watch.tickMs, () => {
      if (watch.tick(performance.now())) this.lose();
    });
  }

  send(message: ClientMessage): boolean {
    if (this.ended || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.joinTimer);
    this.stopTicker?.();
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  private receive(data: unknown): void {
    this.watch?.heard(performance.now());
    const message = parseMessage(data);
    if (message?.type === 'ping') this.send({ type: 'pong', seq: message.seq });
    if (message) this.handlers.message(message);
  }

  /** A dead socket can take minutes to report its close, so the end is declared here, not awaited. */
  private lose(): void {
    if (this.ended) return;
    this.close();
    this.handlers.lost();
  }
}
