import { ignoresOffer, isOtherConnection } from './negotiation.js';
import type { Description, Signal } from './protocol.js';

export interface ConnectionHooks {
  polite(): boolean;
  send(signal: Signal): void;
  track(track: MediaStreamTrack, streams: readonly MediaStream[]): void;
  /** The peer opened a data channel. */
  channel(channel: RTCDataChannel): void;
  stateChanged(): void;
  /** The packets travel another way, which need not show in the state. */
  pairChanged(): void;
  channelOpen(): void;
  text(text: string): void;
  error(error: unknown): void;
}

/** What became of a description. "other": it is from a new connection of the peer, so this one is of no more use. */
export type Outcome = 'done' | 'ignored' | 'other';

/**
 * One RTCPeerConnection with perfect negotiation and its text channel. Incoming signals must be given one after the
 * other, each after the one before has been settled.
 */
export class Connection {
  readonly pc: RTCPeerConnection;
  private readonly texts: RTCDataChannel;
  private makingOffer = false;
  private ignoring = false;
  private closed = false;
  private early: (RTCIceCandidateInit | null)[] = [];
  /** The transport below all media, once it is there, where the browser tells of its pairs. */
  private ice: RTCIceTransport | undefined;

  constructor(
    configuration: RTCConfiguration,
    streams: readonly MediaStream[],
    offering: boolean,
    private readonly hooks: ConnectionHooks,
  ) {
    this.pc = new RTCPeerConnection(configuration);
    this.pc.onnegotiationneeded = () => void this.offer();
    this.pc.onicecandidate = ({ candidate }) =>
      hooks.send({ type: 'candidate', candidate: candidate?.toJSON() ?? null });
    this.pc.onconnectionstatechange = () => {
      this.watchPair();
      hooks.stateChanged();
    };
    this.pc.ontrack = ({ track, streams }) => hooks.track(track, streams ?? []);
    this.pc.ondatachannel = ({ channel }) => hooks.channel(channel);
    this.texts = this.openTexts();
    this.addMedia(streams, offering);
  }

  /** Takes a description that the peer sent. */
  async accept(description: Description): Promise<Outcome> {
    return description.type === 'offer' ? this.acceptOffer(description) : this.acceptAnswer(description);
  }

  /** Takes a candidate, which may come before its description. */
  async addCandidate(candidate: RTCIceCandidateInit | null): Promise<void> {
    if (!this.pc.remoteDescription) {
      if (!this.ignoring) this.early.push(candidate);
      return;
    }
    // A candidate that fits nothing belongs to an offer that was ignored or to a connection that is gone.
    await this.pc.addIceCandidate(candidate).catch(() => undefined);
  }

  /** Whether this browser tells of another pair. */
  get tellsPairs(): boolean {
    return this.ice !== undefined;
  }

  /** Says the current offer again, with the candidates found so far. */
  resendOffer(): void {
    const local = this.pc.localDescription;
    if (local?.type === 'offer') this.hooks.send({ type: 'offer', sdp: local.sdp });
  }

  get textsAreOpen(): boolean {
    return this.texts.readyState === 'open';
  }

  sendText(text: string): void {
    this.texts.send(text);
  }

  openChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel {
    return this.pc.createDataChannel(label, options);
  }

  publish(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.pc.addTrack(track, stream);
  }

  unpublish(stream: MediaStream): void {
    for (const track of stream.getTracks()) {
      const sender = this.senderOf(track);
      if (sender) this.pc.removeTrack(sender);
    }
  }

  /** Sends another track in the old one's place, without negotiation. */
  async replaceTrack(before: MediaStreamTrack, after: MediaStreamTrack | null): Promise<void> {
    await this.senderOf(before)?.replaceTrack(after);
  }

  close(): void {
    this.closed = true;
    this.pc.onnegotiationneeded = this.pc.onicecandidate = this.pc.onconnectionstatechange = this.pc.ontrack = null;
    this.pc.ondatachannel = null;
    this.texts.onopen = this.texts.onmessage = null;
    if (this.ice) this.ice.onselectedcandidatepairchange = null;
    this.pc.close();
  }

  private watchPair(): void {
    const ice = this.pc.sctp?.transport?.iceTransport;
    if (!ice || ice === this.ice || !('onselectedcandidatepairchange' in ice)) return;
    this.ice = ice;
    ice.onselectedcandidatepairchange = () => this.hooks.pairChanged();
  }

  private async offer(): Promise<void> {
    try {
      this.makingOffer = true;
      await this.pc.setLocalDescription();
      if (this.pc.localDescription?.type === 'offer') this.resendOffer();
    } catch (error) {
      if (!this.closed) this.hooks.error(error);
    } finally {
      this.makingOffer = false;
    }
  }

  private async acceptOffer({ sdp }: Description): Promise<Outcome> {
    const { signalingState } = this.pc;
    this.ignoring = ignoresOffer({ polite: this.hooks.polite(), makingOffer: this.makingOffer, signalingState });
    if (this.ignoring) return 'ignored';
    if (isOtherConnection(this.pc.remoteDescription?.sdp, sdp)) return 'other';
    // Rolls an own offer back where there is one.
    await this.pc.setRemoteDescription({ type: 'offer', sdp });
    await this.addEarlyCandidates();
    await this.pc.setLocalDescription();
    const local = this.pc.localDescription;
    if (local && !this.closed) this.hooks.send({ type: 'answer', sdp: local.sdp });
    return 'done';
  }

  private async acceptAnswer({ sdp }: Description): Promise<Outcome> {
    if (this.pc.signalingState !== 'have-local-offer') return 'ignored';
    if (isOtherConnection(this.pc.remoteDescription?.sdp, sdp)) return 'other';
    this.ignoring = false;
    await this.pc.setRemoteDescription({ type: 'answer', sdp });
    await this.addEarlyCandidates();
    return 'done';
  }

  private async addEarlyCandidates(): Promise<void> {
    const early = this.early;
    this.early = [];
    for (const candidate of early) await this.addCandidate(candidate);
  }

  /** Negotiated on both sides, so that it needs no announcement and is the same after a new connection. */
  private openTexts(): RTCDataChannel {
    const channel = this.pc.createDataChannel('chat', { negotiated: true, id: 0 });
    channel.onopen = () => this.hooks.channelOpen();
    channel.onmessage = ({ data }) => {
      if (typeof data === 'string') this.hooks.text(data);
    };
    return channel;
  }

  /**
   * The answering side adds its tracks only: they join the offered media sections. The offering side asks for each kind
   * that it does not send itself.
   */
  private addMedia(streams: readonly MediaStream[], offering: boolean): void {
    for (const stream of streams) this.publish(stream);
    if (!offering) return;
    const kinds = new Set(streams.flatMap((stream) => stream.getTracks().map(({ kind }) => kind)));
    for (const kind of ['audio', 'video']) {
      if (!kinds.has(kind)) this.pc.addTransceiver(kind, { direction: 'recvonly' });
    }
  }

  private senderOf(track: MediaStreamTrack): RTCRtpSender | undefined {
    return this.pc.getSenders().find((sender) => sender.track === track);
  }
}
