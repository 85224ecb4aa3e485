import { type Clock, pageClock } from './clock.js';
import { Emitter } from './emitter.js';
import { TourbillonError, asTourbillonError, noRelay, unreachable } from './errors.js';
import { defaultURL } from './link.js';
import { watchNetwork } from './network.js';
import type { Peer } from './peer.js';
import type { PeerSession } from './peer-session.js';
import type { Capability, Joined, Json, Lasting, Metadata, News, Resumed } from './protocol.js';
import { Published } from './published.js';
import { RelayServers } from './relay-servers.js';
import { reportStats } from './reporter.js';
import type { JoinOptions, Room, RoomEvents, RoomState } from './room.js';
import { Roster } from './roster.js';
import type { PeerStats } from './stats.js';
import { Uplink } from './uplink.js';

const JOIN_TIMEOUT_MS = 15_000;
const TOLERANCE_MS = 500;

/** The room as this page is in it. It owns the uplink, the peers and what is sent to them. */
export class RoomSession implements Room {
  private readonly clock: Clock;
  private readonly emitter = new Emitter<RoomEvents>();
  private readonly published: Published;
  private readonly servers: RelayServers;
  private readonly roster: Roster;
  private readonly uplink: Uplink;
  private readonly ending = new AbortController();
  private server = '';
  private ownId = '';
  private granted: ReadonlySet<Capability> = new Set();
  private cares = false;
  private messages = 0;
  private current: RoomState = 'connecting';
  private settle: { resolve(): void; reject(error: TourbillonError): void } | null = null;

  constructor(private readonly options: JoinOptions) {
    this.clock = options.clock ?? pageClock;
    this.published = new Published(options.media);
    this.servers = new RelayServers(options.relay, this.clock, () => this.uplink.say({ type: 'ice-servers' }));
    this.roster = this.makeRoster();
    this.uplink = this.makeUplink();
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

  get can(): ReadonlySet<Capability> {
    return this.granted;
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

  message(data: Json, to?: Peer | string): string {
    this.mustPublish();
    const id = `m${++this.messages}`;
    const address = to === undefined ? {} : { to: typeof to === 'string' ? to : to.id };
    this.uplink.tell({ type: 'message', id, ...address, data });
    return id;
  }

  update(change: { name?: string; metadata?: Metadata }): void {
    this.mustPublish();
    this.uplink.tell({ type: 'update', ...change });
    this.uplink.describe(change.name, change.metadata); // Not what is refused here: a later join would be, too.
  }

  publish(stream: MediaStream): void {
    if (!this.published.add(stream)) return;
    for (const peer of this.peers.values()) peer.publish(stream);
  }

  unpublish(stream: MediaStream): void {
    if (!this.published.remove(stream)) return;
    for (const peer of this.peers.values()) peer.unpublish(stream);
  }

  async replaceTrack(before: MediaStreamTrack, after: MediaStreamTrack): Promise<void> {
    this.published.replace(before, after);
    await Promise.all([...this.peers.values()].map((peer) => peer.replaceTrack(before, after)));
  }

  refresh(): Promise<void> {
    return this.servers.refresh();
  }

  async stats(): Promise<Record<string, PeerStats>> {
    const entries = [...this.peers.values()].map(async (peer) => [peer.id, await peer.stats()] as const);
    return Object.fromEntries(await Promise.all(entries));
  }

  leave(): void {
    this.end();
  }

  /** Connects, and resolves when the room is joined. */
  start(): Promise<void> {
    this.listenToPage();
    return new Promise((resolve, reject) => {
      const timeout = this.options.joinTimeoutMs ?? JOIN_TIMEOUT_MS;
      const cancel = this.clock.after(timeout, () => this.fail(unreachable()));
      this.ending.signal.addEventListener('abort', cancel);
      this.settle = {
        resolve: () => {
          cancel();
          resolve();
        },
        reject,
      };
      this.uplink.connect();
    });
  }

  private makeUplink(): Uplink {
    const { url = defaultURL(), room, name, metadata, token, heartbeatMs } = this.options;
    const toleranceMs = this.options.heartbeatToleranceMs ?? TOLERANCE_MS;
    return new Uplink({ url, room, name, metadata, token, heartbeatMs, toleranceMs }, this.clock, {
      joined: (message) => this.joined(message),
      resumed: (message) => this.resumed(message),
      told: (news) => this.told(news),
      iceServers: (message) => this.updateServers(message),
      draining: ({ closing_in_ms = 0, retry_after_ms }) =>
        this.emitter.emit('draining', { closingInMs: closing_in_ms, retryAfterMs: retry_after_ms }),
      lost: () => this.lost(),
      refused: (error) => this.emitter.emit('error', error),
      ended: (error) => this.fail(error),
    });
  }

  private makeRoster(): Roster {
    return new Roster(
      {
        clock: this.clock,
        streams: () => this.published.list(),
        configuration: (route) => this.servers.configuration(route),
        ready: () => this.current === 'joined',
        cares: () => this.cares && this.current === 'joined',
        report: (report) => this.uplink.say(report),
        mayAskRestart: () => this.granted.has('restart'),
        send: (message) => this.signal(message),
        freshServers: () => this.servers.fresh(),
        text: (peer, text) => this.emitter.emit('chat', { peer, text }),
        error: (error) => this.emitter.emit('error', asTourbillonError(error)),
      },
      {
        added: (peer) => this.emitter.emit('peer', peer),
        removed: (peer, reason) => this.emitter.emit('peer-left', { peer, reason }),
      },
    );
  }

  /** Sends what the page did not write itself: what is wrong with it, it learns by an event. */
  private signal(message: Lasting): void {
    try {
      this.uplink.tell(message);
    } catch (error) {
      this.emitter.emit('error', asTourbillonError(error));
    }
  }

  private joined(message: Joined): void {
    const serverChanged = this.server !== '' && this.server !== message.server;
    if (this.ownId !== '' && this.ownId !== message.peer) this.roster.reset();
    this.seated(message);
    this.settle?.resolve();
    this.settle = null;
    this.updateServers(message);
    this.roster.sync(message.peers ?? [], serverChanged);
    if (serverChanged) this.emitter.emit('restarted', undefined);
  }

  private resumed(message: Resumed): void {
    this.seated(message);
    this.updateServers(message);
    this.roster.resumed();
    this.emitter.emit('resumed', { replayed: message.replayed });
  }

  private seated({ peer, server, can = [], paths = false }: Joined | Resumed): void {
    this.cares = paths;
    this.ownId = peer;
    this.server = server;
    this.granted = new Set(can);
    this.setState('joined');
  }

  private told(news: News): void {
    switch (news.type) {
      case 'peer-joined':
        return this.roster.meet(news.peer);
      case 'peer-left':
        return this.roster.left(news.peer, news.reason);
      case 'peer-away':
      case 'peer-back':
        return this.roster.away(news.peer, news.type === 'peer-away');
      case 'peer-updated':
        return this.roster.updated(news.peer, news.name, news.metadata);
      case 'offer':
      case 'answer':
      case 'candidate':
        return this.peers.get(news.from)?.receive(news);
      case 'restart':
        if (news.ice_servers) this.updateServers({ ice_servers: news.ice_servers, ice_ttl_ms: news.ice_ttl_ms ?? 0 });
        return this.peers.get(news.from)?.restartAsked(news.route);
      case 'path':
        return this.peers.get(news.peer)?.told(news);
      case 'message':
        return this.hear(news.from, news.data, news.direct ?? false);
    }
  }

  private hear(from: string, data: Json, direct: boolean): void {
    const peer = this.peers.get(from);
    if (peer) this.emitter.emit('message', { peer, data, direct });
  }

  private updateServers({ ice_servers, ice_ttl_ms }: Pick<Joined, 'ice_servers' | 'ice_ttl_ms'>): void {
    const first = this.servers.update(ice_servers, ice_ttl_ms);
    for (const peer of this.peers.values()) peer.configure();
    if (this.servers.lacksRelay) this.emitter.emit('error', noRelay(this.options.relay));
    if (!first) this.emitter.emit('refreshed', undefined);
  }

  private lost(): void {
    if (this.current === 'left') return;
    this.roster.suspend();
    this.setState(this.uplink.everEntered ? 'reconnecting' : 'connecting');
  }

  private mustPublish(): void {
    if (this.current === 'left') throw new TourbillonError('left', 'the room is over', 'join again');
    if (this.granted.has('publish')) return;
    throw new TourbillonError('not-allowed', 'your token does not allow to publish', 'get one with "publish" in "can"');
  }

  private fail(error: TourbillonError): void {
    this.end();
    this.settle?.reject(error);
    this.settle = null;
    this.emitter.emit('error', error);
  }

  private end(): void {
    this.ending.abort();
    this.uplink.close();
    this.roster.close();
    this.setState('left');
  }

  private setState(state: RoomState): void {
    if (this.current === state) return;
    this.current = state;
    this.emitter.emit('state', state);
  }

  private listenToPage(): void {
    const { signal } = this.ending;
    // A closed tab must leave the others' screens at once, not after missed beats.
    window.addEventListener('pagehide', () => this.leave(), { signal });
    watchNetwork(() => this.networkChanged(), signal);
    reportStats(this.clock, this.options.statsIntervalMs, signal, this.peers, (stats) => {
      this.uplink.say({ type: 'stats', stats });
    });
  }

  private networkChanged(): void {
    for (const peer of this.peers.values()) peer.networkChanged();
    this.uplink.connect();
  }
}
