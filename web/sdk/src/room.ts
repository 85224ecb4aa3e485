import type { Clock } from './clock.js';
import type { TourbillonError } from './errors.js';
import type { RelayMode } from './ice-servers.js';
import type { Peer } from './peer.js';
import type { Capability, Json, LeaveReason, Metadata } from './protocol.js';
import type { PeerStats } from './stats.js';

/** "reconnecting": the server is lost for the moment; calls go on, what is sent waits. */
export type RoomState = 'connecting' | 'joined' | 'reconnecting' | 'left';

export interface JoinOptions {
  room: string;
  /** What the others see. */
  name?: string;
  /** What the others see besides: an object of at most 4 KiB. */
  metadata?: Metadata;
  token?: string;
  /** The WebSocket's address; by default /ws of the page's own origin. */
  url?: string;
  /** What is sent to the others from the start; without it this end only receives, until publish. */
  media?: MediaStream;
  /** Sends everything through the relay, reached by this transport only. */
  relay?: RelayMode;
  /** The interval of the server's beats that this end wishes for, 1 to 5000; the server decides. */
  heartbeatMs?: number;
  /** Silence beyond three heartbeats that is still forgiven. Default 500. */
  heartbeatToleranceMs?: number;
  /** How long join tries to reach the server. Default 15000. */
  joinTimeoutMs?: number;
  /** How often a summary of getStats goes to the server's operator; 0 for never. Default 10000. */
  statsIntervalMs?: number;
  /** The time that everything timed runs on, for tests. With another than the page's own no worker keeps time. */
  clock?: Clock;
}

export interface RoomEvents {
  /** A peer joined, or was there: peers already in the room are given to each new listener at once. */
  peer: Peer;
  'peer-left': { peer: Peer; reason: LeaveReason };
  state: RoomState;
  /** A chat line, straight from the peer. */
  chat: { peer: Peer; text: string };
  /** A message through the server; direct when it was for this end only. */
  message: { peer: Peer; data: Json; direct: boolean };
  /** The session went on after a lost socket; so many messages had been missed and are here. */
  resumed: { replayed: number };
  /** The room was re-joined on a server that had been restarted. */
  restarted: void;
  /** ICE servers with fresh credentials are in use: sent in time, asked for, or come with a new socket. */
  refreshed: void;
  /** The server stops: this connection ends in closingInMs, and comes back retryAfterMs after that. */
  draining: { closingInMs: number; retryAfterMs: number };
  error: TourbillonError;
}

/** A room that this page is in. It comes back by itself after every loss of the server. */
export interface Room {
  readonly name: string;
  /** This end's own peer id. */
  readonly id: string;
  readonly state: RoomState;
  /** What the server lets this end do. */
  readonly can: ReadonlySet<Capability>;
  readonly peers: ReadonlyMap<string, Peer>;
  on<K extends keyof RoomEvents>(event: K, listener: (value: RoomEvents[K]) => void): () => void;
  /** Sends a chat line to every peer, straight from here to there. */
  send(text: string): void;
  /**
   * Sends any JSON value of at most 16 KiB through the server, to one peer or to all others. While the server is lost
   * it waits; it arrives once. Returns the id that a later error would carry as "re". Throws a TooLargeError, and a
   * TourbillonError where the token does not allow it.
   */
  message(data: Json, to?: Peer | string): string;
  /** Changes what the others see of this end. Throws as message does. */
  update(change: { name?: string; metadata?: Metadata }): void;
  /** Sends this stream to everyone, also to those who come later. */
  publish(stream: MediaStream): void;
  unpublish(stream: MediaStream): void;
  /** Sends another track in the place of one that is sent, another camera for example. The streams are changed, too. */
  replaceTrack(before: MediaStreamTrack, after: MediaStreamTrack): Promise<void>;
  /** Gets ICE servers with fresh credentials. The server sends them by itself before the old ones run out. */
  refresh(): Promise<void>;
  /** What each connection does, rates and shares since the call before. */
  stats(): Promise<Record<string, PeerStats>>;
  leave(): void;
}
