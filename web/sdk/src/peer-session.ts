import { givenUpDelay, leaveToServer, relayOf, waitFor } from './care.js';
import type { Clock } from './clock.js';
import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { TourbillonError, noPath } from './errors.js';
import type { RelayMode } from './ice-servers.js';
import { type RepairCause, RESTARTS_OVER_ROUTES, isNeededWhenConnected, repairAction } from './negotiation.js';
import { PathReporter } from './path-reporter.js';
import { type Path, readPath } from './path.js';
import type { Peer, PeerEvents } from './peer.js';
import type { Lasting, Metadata, PathNews, PathReport, PathRoute, PeerInfo, Signal } from './protocol.js';
import { RepairTimer } from './repair-timer.js';
import { type PeerStats, type Reading, type Totals, summarise } from './stats.js';
import { RemoteStreams } from './streams.js';

/** Chat lines that wait for the channel to open, at most. */
const MAX_WAITING_TEXTS = 100;
/** Help that began this short a time ago is what the peer asks for. */
const HELPED_JUST_NOW_MS = 3000;

/** What a peer needs of its room. */
export interface PeerContext {
  readonly clock: Clock;
  /** What is sent to everyone. */
  streams(): readonly MediaStream[];
  /** Whether this end may ask a peer for a restart. */
  mayAskRestart(): boolean;
  /** Through any relay and none, or through a relay by this transport only. */
  configuration(route?: RelayMode): RTCConfiguration;
  /** Whether signals reach the server now. */
  ready(): boolean;
  /** Whether the server is there and looks after connections. */
  cares(): boolean;
  report(report: PathReport): void;
  send(message: Lasting): void;
  /** Resolves when the ICE servers are fresh enough to start with. */
  freshServers(): Promise<void>;
  text(peer: Peer, text: string): void;
  error(error: unknown): void;
}

/** The room's side of a peer: its connection, and the help it gets when the path breaks. */
export class PeerSession implements Peer {
  readonly id: string;
  private currentName: string;
  private currentMetadata: Metadata;
  private isAway: boolean;
  private readonly remote = new RemoteStreams({
    added: (stream) => this.emitter.emit('stream', stream),
    removed: (stream) => this.emitter.emit('stream-removed', stream),
  });
  private polite: boolean;
  private present = true;
  private pathDied = false;
  private current: Connection | null = null;
  private inbox = Promise.resolve();
  /** Candidates that came before there was a connection to give them to. */
  private early: (RTCIceCandidateInit | null)[] = [];
  private waitingTexts: string[] = [];
  private readonly repairTimer: RepairTimer;
  private failedRepairs = 0;
  private helpedAt = -Infinity;
  /** What the server asked the last restart to use. */
  private route: PathRoute = 'direct';
  private gaveUp = false;
  private readonly reporter: PathReporter;
  /** Help that a connection needs whatever it says, and that has to wait for the server. */
  private owed: RepairCause | null = null;
  private totals: Totals | undefined;
  private closed = false;
  private readonly emitter = new Emitter<PeerEvents>();

  constructor(
    info: PeerInfo,
    private readonly context: PeerContext,
  ) {
    this.id = info.id;
    this.currentName = info.name;
    this.currentMetadata = info.metadata ?? {};
    this.isAway = info.away ?? false;
    this.polite = info.polite;
    this.reporter = new PathReporter(info.id, {
      clock: context.clock,
      cares: () => context.cares() && this.present,
      state: () => (this.current ? this.connectionState : null),
      path: () => this.path(),
      report: (report) => context.report(report),
    });
    this.repairTimer = new RepairTimer(
      context.clock,
      (cause) => void this.repair(cause).catch((error: unknown) => this.report(error)),
    );
  }

  get name(): string {
    return this.currentName;
  }

  get metadata(): Metadata {
    return this.currentMetadata;
  }

  get away(): boolean {
    return this.isAway;
  }

  get stream(): MediaStream {
    return this.remote.all;
  }

  get streams(): ReadonlyMap<string, MediaStream> {
    return this.remote.byId;
  }

  on<K extends keyof PeerEvents>(event: K, listener: (value: PeerEvents[K]) => void): () => void {
    const off = this.emitter.on(event, listener);
    if (event === 'stream') for (const s of this.streams.values()) (listener as (value: MediaStream) => void)(s);
    return off;
  }

  get connection(): RTCPeerConnection | null {
    return this.current?.pc ?? null;
  }

  get connectionState(): RTCPeerConnectionState {
    return this.closed ? 'closed' : (this.current?.pc.connectionState ?? 'new');
  }

  send(text: string): void {
    if (this.current?.textsAreOpen) this.current.sendText(text);
    else if (this.waitingTexts.length < MAX_WAITING_TEXTS) this.waitingTexts.push(text);
  }

  openChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
    if (this.current) return this.current.openChannel(label, options);
    throw new TourbillonError('not-connected', 'no connection to this peer yet', 'wait for a "state" of this peer');
  }

  restart(): void {
    if (!this.current) return;
    // Of the two sides the impolite one restarts.
    if (this.polite && this.context.cares()) this.reporter.say('failed');
    else this.scheduleRepair('asked');
  }

  async stats(): Promise<PeerStats> {
    const { stats, totals } = await this.read(this.totals);
    this.totals = totals;
    return stats;
  }

  /** Reads the connection's statistics, with rates since before. */
  async read(before: Totals | undefined): Promise<Reading> {
    const report = (await this.connection?.getStats()) as unknown as Iterable<[string, unknown]> | undefined;
    return summarise(report ?? [], this.connectionState, this.context.clock.now(), before);
  }

  publish(stream: MediaStream): void {
    this.current?.publish(stream);
  }

  unpublish(stream: MediaStream): void {
    this.current?.unpublish(stream);
  }

  async replaceTrack(before: MediaStreamTrack, after: MediaStreamTrack | null): Promise<void> {
    await this.current?.replaceTrack(before, after);
  }

  async path(): Promise<Path | null> {
    const pc = this.connection;
    return pc ? readPath((await pc.getStats()) as unknown as Iterable<[string, unknown]>) : null;
  }

  /** Starts the negotiation: the newcomer's part. */
  call(): void {
    this.build(true);
    this.scheduleRepair('stalled');
  }

  /** Waits for the peer's offer, and calls itself when that does not come. */
  awaitOffer(cause: 'awaited' | 'returning'): void {
    this.scheduleRepair(cause);
  }

  receive(signal: Signal): void {
    this.inbox = this.inbox.then(() => this.handle(signal)).catch((error: unknown) => this.report(error));
  }

  /** The peer is not on the server that we came back to. Its connection stays for now. */
  setAbsent(pathDied: boolean): void {
    this.present = false;
    this.pathDied ||= pathDied;
  }

  setAway(away: boolean): void {
    if (this.isAway === away) return;
    this.isAway = away;
    this.emitter.emit('away', away);
  }

  describe(name: string, metadata: Metadata | undefined): void {
    const before = JSON.stringify([this.currentName, this.currentMetadata]);
    this.currentName = name;
    this.currentMetadata = metadata ?? {};
    if (JSON.stringify([name, this.currentMetadata]) !== before) this.emitter.emit('updated', undefined);
  }

  /** Both are on the server again: sees whether the connection came through. */
  async rejoined(polite: boolean, serverChanged: boolean): Promise<void> {
    this.polite = polite;
    this.present = true;
    const pathDied = serverChanged || this.pathDied;
    this.pathDied = false;
    this.repairTimer.takeBack();
    const before = this.peerDescription;
    // An offer that comes meanwhile is of a new path.
    if (pathDied && (await this.isRelayed()) && this.peerDescription === before) {
      this.owed = null; // The restart for the new path is that help.
      this.reporter.say('failed');
      return this.scheduleRepair('dead-path');
    }
    this.reporter.sayNow();
    this.giveOwed();
    if (this.connectionState !== 'connected') this.scheduleRepair('unfinished');
  }

  /** Our session went on and no signal got lost, but help that was due meanwhile was not given. */
  resumed(): void {
    this.reporter.sayNow();
    this.giveOwed();
    const state = this.connectionState;
    if (state === 'connected') return;
    if (state === 'failed' || state === 'disconnected') return this.scheduleRepair(state);
    this.scheduleRepair(this.current ? 'stalled' : 'awaited');
  }

  private giveOwed(): void {
    const cause = this.owed;
    this.owed = null;
    if (cause) this.scheduleRepair(cause);
  }

  /** The network of this host came back, perhaps as another one. */
  networkChanged(): void {
    if (!this.current) return;
    this.route = 'direct'; // What was blocked there may be open here.
    this.configure();
    this.askRestart('network');
    this.scheduleRepair('online');
  }

  configure(): void {
    this.current?.pc.setConfiguration(this.configuration());
  }

  /** The peer sees a reason for a restart that this side may not see, or the server wants one over a route. */
  restartAsked(route?: PathRoute): void {
    const helped = this.context.clock.now() - this.helpedAt <= HELPED_JUST_NOW_MS;
    if (helped && (!route || route === this.route)) return;
    if (route) {
      this.route = route;
      this.configure();
    }
    this.scheduleRepair('asked');
  }

  /** The server says what it makes of the connection: this end leaves it to it, until it gives up. */
  told(news: PathNews): void {
    if (news.state === 'connected' || news.state === 'failed') this.repairTimer.takeBack();
    if (news.state === 'connected') {
      this.repairTimer.postpone(waitFor(news));
    } else if (news.state !== 'failed') {
      this.repairTimer.leave(waitFor(news));
    } else if (this.connectionState !== 'connected') {
      this.repairTimer.restAndRetry(givenUpDelay(this.polite));
      if (!this.gaveUp) this.context.error(noPath(this.name || this.id));
      this.gaveUp = true;
    }
    this.emitter.emit('path', { state: news.state, route: news.route, attempt: news.attempt ?? 0 });
  }

  close(): void {
    this.closed = true;
    this.repairTimer.clear();
    this.reporter.close();
    this.current?.close();
    this.remote.clear();
  }

  private configuration(): RTCConfiguration {
    return this.context.configuration(relayOf(this.route));
  }

  private get peerDescription(): string | undefined {
    return this.connection?.remoteDescription?.sdp;
  }

  /** The polite side would wait before it helps; the other need not. */
  private askRestart(reason: string): void {
    if (this.polite && this.context.cares()) return this.reporter.say('failed'); // The server asks the peer.
    if (!this.polite || !this.present || !this.context.mayAskRestart()) return;
    this.context.send({ type: 'restart', to: this.id, reason });
  }

  private async handle(signal: Signal): Promise<void> {
    if (this.closed) return;
    if (signal.type === 'candidate') return this.handleCandidate(signal.candidate);
    if (!this.current && signal.type === 'answer') return;
    const connection = this.current ?? this.build(false);
    const outcome = await connection.accept(signal);
    if (this.closed || connection !== this.current) return;
    if (outcome === 'other') return this.meetNewConnection(signal);
    if (outcome === 'done' && signal.type === 'offer') this.repairTimer.clear();
    if (outcome !== 'done') return;
    if (this.connectionState !== 'connected') this.scheduleRepair('stalled');
    this.reporter.negotiated(connection.tellsPairs);
  }

  private async handleCandidate(candidate: RTCIceCandidateInit | null): Promise<void> {
    if (this.current) await this.current.addCandidate(candidate);
    else this.early.push(candidate);
  }

  /** The peer has a new connection, so it gets a new one from here too. */
  private async meetNewConnection(signal: Signal): Promise<void> {
    if (signal.type === 'answer') return this.call();
    this.build(false);
    await this.handle(signal);
  }

  private build(offering: boolean): Connection {
    this.current?.close();
    this.remote.clear();
    this.totals = undefined;
    this.owed = null;
    this.repairTimer.clear();
    const connection: Connection = new Connection(this.configuration(), this.context.streams(), offering, {
      polite: () => this.polite,
      send: (signal) => this.context.send({ ...signal, to: this.id }),
      track: (track, streams) => this.addTrack(track, streams),
      channel: (channel) => this.emitter.emit('channel', channel),
      stateChanged: () => this.stateChanged(),
      pairChanged: () => this.reporter.pairChanged(),
      channelOpen: () => this.flushTexts(),
      text: (text) => this.context.text(this, text),
      error: (error) => this.report(error),
    });
    this.current = connection;
    this.reporter.sayNow();
    for (const candidate of this.early.splice(0)) void connection.addCandidate(candidate);
    return connection;
  }

  private addTrack(track: MediaStreamTrack, streams: readonly MediaStream[]): void {
    this.remote.add(track, streams);
    this.emitter.emit('track', track);
  }

  private flushTexts(): void {
    for (const text of this.waitingTexts.splice(0)) this.send(text);
  }

  private stateChanged(): void {
    const state = this.connectionState;
    if (state === 'connected') {
      this.failedRepairs = 0;
      this.gaveUp = false;
      if (!isNeededWhenConnected(this.repairTimer.cause, this.polite)) this.repairTimer.clear();
    }
    this.reporter.sayNow();
    if (state === 'failed' && !this.context.cares()) this.askRestart(state);
    if (state === 'failed' || state === 'disconnected') this.scheduleRepair(state);
    this.emitter.emit('state', state);
  }

  private scheduleRepair(cause: RepairCause): void {
    const leaveMs = this.context.cares() ? leaveToServer(cause, this.polite) : 0;
    if (!this.closed) this.repairTimer.schedule(cause, this.polite, leaveMs);
  }

  private async repair(cause: RepairCause): Promise<void> {
    this.repairTimer.clear();
    // Without the server nothing can be said; the re-join looks at each connection again, but sees no reason in this one.
    if (!this.context.ready() || !this.present) {
      if (isNeededWhenConnected(cause, this.polite)) this.owed = cause;
      return;
    }
    if (this.connectionState === 'connected' && !isNeededWhenConnected(cause, this.polite)) return;
    const before = this.current;
    await this.context.freshServers();
    // An offer that came meanwhile is the help.
    if (this.closed || this.current !== before) return;
    this.help();
    this.owed = null;
    this.helpedAt = this.context.clock.now();
    this.failedRepairs++;
    this.scheduleRepair('stalled');
  }

  private help(): void {
    if (!this.current) return void this.build(true);
    const restarts = this.context.cares() ? RESTARTS_OVER_ROUTES : undefined;
    switch (repairAction(this.current.pc.signalingState, this.failedRepairs, restarts)) {
      case 'restart':
        this.reporter.restarting();
        return this.current.pc.restartIce();
      case 'resend':
        this.reporter.restarting();
        return this.current.resendOffer();
      case 'rebuild':
        this.failedRepairs = 0;
        this.build(true);
    }
  }

  private async isRelayed(): Promise<boolean> {
    if (this.context.configuration().iceTransportPolicy === 'relay') return true;
    return (await this.path())?.kind === 'relay';
  }

  private report(error: unknown): void {
    if (!this.closed) this.context.error(error);
  }
}
