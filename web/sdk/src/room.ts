import { backoffDelay } from './backoff.js';
import { Emitter } from './emitter.js';
import { TourbillonError, endsRoom } from './errors.js';
import type { RelayMode } from './ice-servers.js';
import { Link } from './link.js';
import type { Peer, PeerSession } from './peer.js';
import type { ClientMessage, Joined, LeaveReason, ServerMessage } from './protocol.js';
import { RelayServers } from './relay-servers.js';
import { Roster } from './roster.js';

export type RoomState = 'connecting' | 'joined' | 'reconnecting' | 'left';

export interface JoinOptions {
  room: string;
  /** What the others see. */
  name?: string;
  token?: string;
  /** The WebSocket's address; by default /ws of the page's own origin. */
  url?: string;
  /** What is sent to the others; without it this end only receives. */
  media?: MediaStream;
  /** Sends everything through the relay, reached by this transport only. */
  relay?: RelayMode;
  /** Silence beyond three heartbeats that is still forgiven. */
  heartbeatToleranceMs?: number;
  /** How long join tries to reach the server. */
  joinTimeoutMs?: number;
}

export interface RoomEvents {
  /** A peer joined, or was there: peers already in the room are given to each new listener at once. */
  peer: Peer;
  'peer-left': { peer: Peer; reason: LeaveReason };
  state: RoomState;
  chat: { peer: Peer; text: string };
  /** The room was re-joined on a server that had been restarted. */
  restarted: void;
  error: TourbillonError;
}

/** A room that this page is in. It comes back by itself after every loss of the server. */
export interface Room {
  readonly name: string;
  /** This end's own peer id. */
  readonly id: string;
  readonly state: RoomState;
  readonly peers: ReadonlyMap<string, Peer>;
  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void;
  /** Sends a chat line to every peer. */
  send(text: string): void;
  leave(): void;
}

export class RoomSession implements Room {
  private readonly emitter = new Emitter<RoomEvents>();
  private readonly roster: Roster;
  private readonly servers: RelayServers;
  private readonly ending = new AbortController();
  private link: Link | null = null;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private retryAfter: number | null = null;
  private attempt = 0;
  private session: string | undefined;
  private server = '';
  private ownId = '';
  private current: RoomState = 'connecting';
  private settle: { resolve(): void; reject(error: TourbillonError): void } | null = null;

  constructor(private readonly options: JoinOptions) {
    this.servers = new RelayServers(options.relay, () => this.say({ type: 'ice-servers' }));
    this.roster = new Roster(
      {
        media: options.media,
        configuration: () => this.servers.configuration(),
        ready: () => this.current === 'joined',
        send: (message) => this.say(message),
        freshServers: () => this.servers.fresh(),
        text: (peer, text) => this.emitter.emit('chat', { peer, text }),
        error: (error) => this.emitter.emit('error', connectionError(error)),
      },
      {
        added: (peer) => this.emitter.emit('peer', peer),
        removed: (peer, reason) => this.emitter.emit('peer-left', { peer, reason }),
      },
    );
  }

  get name(): string {
    return this.options.room;
  }

  get id(): string {
    return this.ownId;
  }

  get state(): RoomState {
    return this.current;
  }

  get peers(): ReadonlyMap<string, PeerSession> {
    return this.roster.peers;
  }

  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void {
    const off = this.emitter.on(event, listener);
    if (event === 'peer') for (const peer of this.peers.values()) (listener as (value: Peer) => void)(peer);
    return off;
  }

  send(text: string): void {
    for (const peer of this.peers.values()) peer.send(text);
  }

  leave(): void {
    this.say({ type: 'leave' });
    this.end();
  }

  /** Connects, and resolves when the room is joined. */
  start(): Promise<void> {
    this.listenToPage();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(unreachable()), this.options.joinTimeoutMs ?? 15_000);
      this.ending.signal.addEventListener('abort', () => clearTimeout(timer));
      this.settle = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject,
      };
      this.connect();
    });
  }

  private connect(): void {
    const link = new Link(this.options.url ?? defaultURL(), {
      open: () => link.send(this.joinMessage()),
      message: (message) => this.receive(link, message),
      lost: () => this.lost(),
    });
    this.link = link;
  }

  private joinMessage(): ClientMessage {
    const { room, name, token } = this.options;
    return { type: 'join', room, name, token, session: this.session };
  }

  private receive(link: Link, message: ServerMessage): void {
    switch (message.type) {
      case 'joined':
        return this.joined(link, message);
      case 'peer-joined':
        return this.roster.meet(message.peer);
      case 'peer-left':
        return this.roster.left(message.peer, message.reason);
      case 'offer':
      case 'answer':
      case 'candidate':
        return this.peers.get(message.from)?.receive(message);
      case 'ice-servers':
        return this.updateServers(message.ice_servers, message.ice_ttl_ms);
      case 'ping':
        // A server that joins us and dies before its first beat must not be asked again without a pause.
        this.attempt = 0;
        return;
      case 'bye':
        this.retryAfter = message.retry_after_ms;
        return;
      case 'error':
        return this.refused(message);
    }
  }

  private joined(link: Link, message: Joined): void {
    const serverChanged = this.server !== '' && this.server !== message.server;
    if (this.ownId !== '' && this.ownId !== message.peer) this.roster.reset();
    this.ownId = message.peer;
    this.session = message.session;
    this.server = message.server;
    this.retryAfter = null;
    link.expectBeats(message.heartbeat_ms, this.options.heartbeatToleranceMs ?? 500);
    this.setState('joined');
    this.settle?.resolve();
    this.settle = null;
    this.updateServers(message.ice_servers, message.ice_ttl_ms);
    this.roster.sync(message.peers ?? [], serverChanged);
    if (serverChanged) this.emitter.emit('restarted', undefined);
  }

  private updateServers(servers: Joined['ice_servers'], ttlMs: number): void {
    this.servers.update(servers, ttlMs);
    for (const peer of this.peers.values()) peer.configure(this.servers.configuration());
    if (this.servers.lacksRelay) this.emitter.emit('error', noRelay(this.options.relay));
  }

  private refused({ code, message, remedy, fatal }: ServerMessage & { type: 'error' }): void {
    const error = new TourbillonError(code, message, remedy, fatal);
    const joining = this.current !== 'joined';
    if ((joining || fatal) && endsRoom(code, this.session !== undefined)) return this.fail(error);
    this.emitter.emit('error', error);
  }

  private lost(): void {
    if (this.current === 'left') return;
    this.link = null;
    this.roster.suspend();
    this.setState(this.session === undefined ? 'connecting' : 'reconnecting');
    const delay = this.retryAfter ?? backoffDelay(this.attempt++, Math.random());
    this.retryAfter = null;
    this.retryTimer = setTimeout(() => this.connect(), delay);
  }

  private fail(error: TourbillonError): void {
    this.end();
    this.settle?.reject(error);
    this.settle = null;
    this.emitter.emit('error', error);
  }

  private end(): void {
    this.ending.abort();
    clearTimeout(this.retryTimer);
    this.link?.close();
    this.link = null;
    this.roster.close();
    this.setState('left');
  }

  private setState(state: RoomState): void {
    if (this.current === state) return;
    this.current = state;
    this.emitter.emit('state', state);
  }

  private say(message: ClientMessage): void {
    if (this.current === 'joined') this.link?.send(message);
  }

  private listenToPage(): void {
    const { signal } = this.ending;
    // A closed tab must leave the others' screens at once, not after missed beats.
    window.addEventListener('pagehide', () => this.leave(), { signal });
    window.addEventListener('online', () => this.networkChanged(), { signal });
  }

  private networkChanged(): void {
    for (const peer of this.peers.values()) peer.networkChanged();
    if (this.link || this.current === 'left') return;
    clearTimeout(this.retryTimer);
    this.connect();
  }
}

function defaultURL(): string {
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

function unreachable(): TourbillonError {
  return new TourbillonError('unreachable', 'the server does not answer', 'check the address and that it runs', true);
}

function noRelay(relay: RelayMode | undefined): TourbillonError {
  return new TourbillonError('no-relay', `the server offers no relay over ${relay}`, 'choose another relay transport');
}

function connectionError(error: unknown): TourbillonError {
  if (error instanceof TourbillonError) return error;
  return new TourbillonError('connection', error instanceof Error ? error.message : String(error));
}
