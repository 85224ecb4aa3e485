import type { Path } from './path.js';
import type { Metadata, PathRoute, PathState } from './protocol.js';
import type { PeerStats } from './stats.js';

/** What the server makes of a connection: where it stands, over which route it tries, how often it has. */
export interface PathProgress {
  state: PathState;
  route: PathRoute;
  attempt: number;
}

export interface PeerEvents {
  /** The connection's state changed. */
  state: RTCPeerConnectionState;
  /** The server's view of the connection changed, while it looks after it. */
  path: PathProgress;
  /** A remote track was added to the stream. */
  track: MediaStreamTrack;
  /** The peer publishes a stream, its camera or its screen; those that are there are given to each new listener. */
  stream: MediaStream;
  'stream-removed': MediaStream;
  /** The peer opened a data channel. */
  channel: RTCDataChannel;
  /** The peer lost the server, or is back. Calls with it go on. */
  away: boolean;
  /** Name or metadata changed. */
  updated: void;
}

/** Another participant of the room. */
export interface Peer {
  readonly id: string;
  /** The peer's own text: show it as text only. */
  readonly name: string;
  /** The peer's own words about itself. */
  readonly metadata: Metadata;
  /** Whether the peer has lost the server, for the moment. */
  readonly away: boolean;
  /** All remote media; the same object for the peer's whole life, tracks come and go in it. */
  readonly stream: MediaStream;
  /** The streams as the peer published them, by id. */
  readonly streams: ReadonlyMap<string, MediaStream>;
  readonly connectionState: RTCPeerConnectionState;
  /** The live connection, null until negotiation starts. It is another one after the peer had to be called anew. */
  readonly connection: RTCPeerConnection | null;
  /** Sends a chat line to this peer, as soon as its channel is open. */
  send(text: string): void;
  /**
   * Opens a data channel to this peer, who gets it as "channel". Throws "not-connected" while connection is null. It
   * lives as long as that connection.
   */
  openChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel;
  /** Restarts ICE: fresh candidates for a path that this page knows to be bad. */
  restart(): void;
  /** What the connection does, rates and shares since the call before. */
  stats(): Promise<PeerStats>;
  /** How the packets travel now; null while there is no path. */
  path(): Promise<Path | null>;
  on<K extends keyof PeerEvents>(event: K, listener: (value: PeerEvents[K]) => void): () => void;
}
