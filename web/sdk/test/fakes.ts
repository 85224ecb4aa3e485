/** Doubles of the browser objects that the client talks to. They do as much of the standard as the tests need. */
import { vi } from 'vitest';
import type { ClientMessage, ServerMessage } from '../src/protocol.js';

export class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  readonly sent: ClientMessage[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event?: { code: number }) => void) | null = null;

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    return FakeSocket.all.at(-1) as FakeSocket;
  }

  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }

  receive(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  /** The network's end of the socket. */
  drop(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  close(): void {
    this.readyState = 3;
  }

  sentOf<T extends ClientMessage['type']>(type: T): Extract<ClientMessage, { type: T }>[] {
    return this.sent.filter((message) => message.type === type) as Extract<ClientMessage, { type: T }>[];
  }
}

let sessions = 0;
let streams = 0;

export class FakeChannel {
  readyState = 'connecting';
  readonly sent: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;

  open(): void {
    this.readyState = 'open';
    this.onopen?.();
  }

  send(text: string): void {
    this.sent.push(text);
  }
}

export class FakeConnection {
  static all: FakeConnection[] = [];
  readonly session = String(++sessions);
  private version = 0;
  private needed = false;
  signalingState: RTCSignalingState = 'stable';
  connectionState: RTCPeerConnectionState = 'new';
  localDescription: { type: string; sdp: string } | null = null;
  remoteDescription: { type: string; sdp: string } | null = null;
  readonly channel = new FakeChannel();
  readonly candidates: unknown[] = [];
  readonly tracks: unknown[] = [];
  senders: { track: unknown; replaceTrack(track: unknown): Promise<void> }[] = [];
  readonly transceivers: string[] = [];
  readonly configurations: RTCConfiguration[] = [];
  stats: [string, unknown][] = [];
  /** Null stands for a browser that tells nothing of its pairs. */
  sctp: { transport: { iceTransport: { onselectedcandidatepairchange: (() => void) | null } } } | null = null;
  rollbacks = 0;
  onnegotiationneeded: (() => void) | null = null;
  onicecandidate: ((event: { candidate: null }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  ontrack: ((event: { track: unknown; streams?: unknown[] }) => void) | null = null;
  ondatachannel: ((event: { channel: unknown }) => void) | null = null;
  readonly restartIce = vi.fn(() => this.needNegotiation());

  constructor(configuration: RTCConfiguration) {
    this.configurations.push(configuration);
    FakeConnection.all.push(this);
  }

  static get last(): FakeConnection {
    return FakeConnection.all.at(-1) as FakeConnection;
  }

  addTrack(track: unknown): void {
    this.tracks.push(track);
    const sender = {
      track,
      replaceTrack(next: unknown): Promise<void> {
        sender.track = next;
        return Promise.resolve();
      },
    };
    this.senders.push(sender);
  }

  getSenders(): unknown[] {
    return this.senders;
  }

  removeTrack(sender: unknown): void {
    this.senders = this.senders.filter((other) => other !== sender);
  }

  addTransceiver(kind: string): void {
    this.transceivers.push(kind);
    this.needNegotiation();
  }

  createDataChannel(label: string): FakeChannel {
    return label === 'chat' ? this.channel : new FakeChannel();
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configurations.push(configuration);
  }

  getStats(): Promise<[string, unknown][]> {
    return Promise.resolve(this.stats);
  }

  async setLocalDescription(): Promise<void> {
    await Promise.resolve();
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.signalingState = type === 'answer' ? 'stable' : 'have-local-offer';
    this.localDescription = { type, sdp: sdp(this.session, ++this.version) };
  }

  async setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    await Promise.resolve();
    if (description.type === 'offer' && this.signalingState === 'have-local-offer') this.rollbacks++;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    this.remoteDescription = description;
  }

  addIceCandidate(candidate: unknown): Promise<void> {
    this.candidates.push(candidate);
    return Promise.resolve();
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  /** ICE selects another pair, which these statistics show, without any other event. */
  selectPair(stats: [string, unknown][]): void {
    this.stats = stats;
    this.sctp?.transport.iceTransport.onselectedcandidatepairchange?.();
  }

  close(): void {
    this.signalingState = 'closed';
    this.connectionState = 'closed';
  }

  /** One event for all changes of one turn, as the standard has it. */
  private needNegotiation(): void {
    if (this.needed) return;
    this.needed = true;
    queueMicrotask(() => {
      this.needed = false;
      if (this.signalingState === 'stable') this.onnegotiationneeded?.();
    });
  }
}

export class FakeStream extends EventTarget {
  readonly id = `stream-${++streams}`;
  private readonly tracks = new Set<unknown>();
  addTrack(track: unknown): void {
    this.tracks.add(track);
  }
  removeTrack(track: unknown): void {
    this.tracks.delete(track);
  }
  getTracks(): unknown[] {
    return [...this.tracks];
  }
}

export function sdp(session: string, version = 1): string {
  return `v=0\r\no=- ${session} ${version} IN IP4 127.0.0.1\r\ns=-\r\n`;
}

/** Puts the doubles in the browser's place until the test ends. */
export function installFakes(): void {
  FakeSocket.all = [];
  FakeConnection.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('RTCPeerConnection', FakeConnection);
  vi.stubGlobal('MediaStream', FakeStream);
}

/** Lets everything that is due now run, without the clock moving. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}
