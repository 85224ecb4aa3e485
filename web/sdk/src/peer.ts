import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { type RepairCause, isNeededWhenConnected, repairAction, repairDelay } from './negotiation.js';
import { type Path, readPath } from './path.js';
import type { ClientMessage, PeerInfo, Signal } from './protocol.js';

/** Chat lines that wait for the channel to open, at most. */
const MAX_WAITING_TEXTS = 100;

export interface PeerEvents {
  /** The connection's state changed. */
  state: RTCPeerConnectionState;
  /** A remote track was added to the stream. */
  track: MediaStreamTrack;
}

/** Another participant of the room. */
export interface Peer {
  readonly id: string;
  /** The peer's own text: show it as text only. */
  readonly name: string;
  /** The remote media; the same object for the peer's whole life, tracks come and go in it. */
  readonly stream: MediaStream;
  readonly connectionState: RTCPeerConnectionState;
  /** The live connection, null until negotiation starts. It is another one after the peer had to be called anew. */
  readonly connection: RTCPeerConnection | null;
  /** Sends a chat line to this peer, as soon as its channel is open. */
  send(text: string): void;
  /** How the packets travel now; null while there is no path. */
  path(): Promise<Path | null>;
  on<K extends keyof PeerEvents>(event: K, listener: (value: PeerEvents[K]) => void): () => void;
}

/** What a peer needs of its room. */
export interface PeerContext {
  readonly media: MediaStream | undefined;
  configuration(): RTCConfiguration;
  /** Whether signals reach the server now. */
  ready(): boolean;
  send(message: ClientMessage): void;
  /** Resolves when the ICE servers are fresh enough to start with. */
  freshServers(): Promise<void>;
  text(peer: Peer, text: string): void;
  error(error: unknown): void;
}

/** The room's side of a peer: its connection, and the help it gets when the path breaks. */
export class PeerSession implements Peer {
  readonly id: string;
  readonly name: string;
  readonly stream = new MediaStream();
  private polite: boolean;
  private present = true;
  private pathDied = false;
  private current: Connection | null = null;
  private inbox = Promise.resolve();
  /** Candidates that came before there was a connection to give them to. */
  private early: (RTCIceCandidateInit | null)[] = [];
  private waitingTexts: string[] = [];
  private repairTimer: ReturnType<typeof setTimeout> | undefined;
  private repairDue = Infinity;
  private repairCause: RepairCause = 'stalled';
  private failedRepairs = 0;
  private closed = false;
  private readonly emitter = new Emitter<PeerEvents>();

  constructor(
    info: PeerInfo,
    private readonly context: PeerContext,
  ) {
    this.id = info.id;
    this.name = info.name;
    this.polite = info.polite;
  }

  on<K extends keyof PeerEvents>(event: K, listener: (value: PeerEvents[K]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  get connection(): RTCPeerConnection | null {
    return this.current?.pc ?? null;
  }

  get connectionState(): RTCPeerConnectionState {
    return this.closed ? 'closed' : (this.current?.pc.connectionState ?? 'new');
  }

  send(text: string): void {
    if (this.current?.channelIsOpen) this.current.sendText(text);
    else if (this.waitingTexts.length < MAX_WAITING_TEXTS) this.waitingTexts.push(text);
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

  /** Both are on the server again: sees whether the connection came through. */
  async rejoined(polite: boolean, serverChanged: boolean): Promise<void> {
    this.polite = polite;
    this.present = true;
    const pathDied = serverChanged || this.pathDied;
    this.pathDied = false;
    if (pathDied && (await this.isRelayed())) this.scheduleRepair('dead-path');
    else if (this.connectionState !== 'connected') this.scheduleRepair('unfinished');
  }

  /** The network of this host came back, perhaps as another one. */
  networkChanged(): void {
    if (this.current) this.scheduleRepair('online');
  }

  configure(configuration: RTCConfiguration): void {
    this.current?.pc.setConfiguration(configuration);
  }

  close(): void {
    this.closed = true;
    this.clearRepair();
    this.current?.close();
    this.clearStream();
  }

  private async handle(signal: Signal): Promise<void> {
    if (this.closed) return;
    if (signal.type === 'candidate') return this.handleCandidate(signal.candidate);
    if (!this.current && signal.type === 'answer') return;
    const connection = this.current ?? this.build(false);
    const outcome = await connection.accept(signal);
    if (this.closed || connection !== this.current) return;
    if (outcome === 'other') return this.meetNewConnection(signal);
    if (outcome === 'done' && signal.type === 'offer') this.clearRepair();
    if (outcome === 'done' && this.connectionState !== 'connected') this.scheduleRepair('stalled');
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
    this.clearStream();
    this.clearRepair();
    const connection: Connection = new Connection(this.context.configuration(), this.context.media, offering, {
      polite: () => this.polite,
      send: (signal) => this.context.send({ ...signal, to: this.id }),
      track: (track) => this.addTrack(track),
      stateChanged: () => this.stateChanged(),
      channelOpen: () => this.flushTexts(),
      text: (text) => this.context.text(this, text),
      error: (error) => this.report(error),
    });
    this.current = connection;
    for (const candidate of this.early.splice(0)) void connection.addCandidate(candidate);
    return connection;
  }

  private addTrack(track: MediaStreamTrack): void {
    this.stream.addTrack(track);
    this.emitter.emit('track', track);
  }

  private clearStream(): void {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }

  private flushTexts(): void {
    for (const text of this.waitingTexts.splice(0)) this.send(text);
  }

  private stateChanged(): void {
    const state = this.connectionState;
    if (state === 'connected') {
      this.failedRepairs = 0;
      if (!isNeededWhenConnected(this.repairCause, this.polite)) this.clearRepair();
    }
    if (state === 'failed' || state === 'disconnected') this.scheduleRepair(state);
    this.emitter.emit('state', state);
  }

  /** The earliest of several causes decides. */
  private scheduleRepair(cause: RepairCause): void {
    const delay = repairDelay(cause, this.polite);
    const due = performance.now() + delay;
    if (this.closed || due >= this.repairDue) return;
    this.clearRepair();
    this.repairDue = due;
    this.repairCause = cause;
    this.repairTimer = setTimeout(() => void this.repair(cause).catch((error: unknown) => this.report(error)), delay);
  }

  private clearRepair(): void {
    clearTimeout(this.repairTimer);
    this.repairDue = Infinity;
  }

  private async repair(cause: RepairCause): Promise<void> {
    this.clearRepair();
    // Without the server nothing can be said; the re-join looks at each connection again.
    if (!this.context.ready() || !this.present) return;
    if (this.connectionState === 'connected' && !isNeededWhenConnected(cause, this.polite)) return;
    const before = this.current;
    await this.context.freshServers();
    // An offer that came meanwhile is the help.
    if (this.closed || this.current !== before) return;
    this.help();
    this.failedRepairs++;
    this.scheduleRepair('stalled');
  }

  private help(): void {
    if (!this.current) return void this.build(true);
    switch (repairAction(this.current.pc.signalingState, this.failedRepairs)) {
      case 'restart':
        return this.current.pc.restartIce();
      case 'resend':
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
