/** The messages of tourbillon.v1 as the browser sees them. Durations are milliseconds. */

export const SUBPROTOCOL = 'tourbillon.v1';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** What a peer shows of itself to the others: an object of at most 4 KiB. */
export type Metadata = { [key: string]: Json };

export interface PeerInfo {
  id: string;
  name: string;
  metadata?: Metadata;
  /** The receiver's own role towards this peer in perfect negotiation. */
  polite: boolean;
  /** The peer's socket dropped, and its seat is kept. */
  away?: boolean;
}

export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

/** What a client may do: be there and negotiate, publish messages and metadata, ask for ICE restarts. */
export type Capability = 'join' | 'publish' | 'restart';

interface SeatMessage {
  room: string;
  peer: string;
  session: string;
  server: string;
  can?: Capability[];
  /** The server looks after connections: it wants to be told how they stand, and says who restarts. */
  paths?: boolean;
  ice_servers: IceServer[];
  ice_ttl_ms: number;
  heartbeat_ms: number;
  seat_ms?: number;
}

export interface Joined extends SeatMessage {
  type: 'joined';
  peers: PeerInfo[];
}

export interface Resumed extends SeatMessage {
  type: 'resumed';
  /** The number of the last message of ours that the server has got. */
  got: number;
  replayed: number;
}

export interface Limits {
  message_bytes: number;
  sdp_bytes: number;
  data_bytes: number;
  messages_per_s: number;
  burst: number;
}

export type LeaveReason = 'left' | 'closed' | 'timeout' | 'replaced' | 'slow' | 'shutdown';

export type Description = { type: 'offer' | 'answer'; sdp: string };
export type Candidate = { type: 'candidate'; candidate: RTCIceCandidateInit | null };
/** What one peer says to another. */
export type Signal = Description | Candidate;
/** How a restart is to travel: any way, or through a relay by one transport. */
export type PathRoute = 'direct' | 'relay/udp' | 'relay/tcp' | 'relay/tls';

/** Asks the peer for an offer with an ICE restart. With a route it is the server that asks, and gives fresh servers. */
export type Restart = {
  type: 'restart';
  reason?: string;
  route?: PathRoute;
  ice_servers?: IceServer[];
  ice_ttl_ms?: number;
};

/** How the server sees the connection between two peers. */
export type PathState =
  'gathering' | 'checking' | 'connected' | 'faltering' | 'consent-lost' | 'restarting' | 'failed';

/** What the server makes of the connection to a peer, and when it goes on by itself. */
export type PathNews = {
  type: 'path';
  peer: string;
  state: PathState;
  route: PathRoute;
  attempt?: number;
  next_ms?: number;
  reason?: string;
};

/** Tells the server how the connection to a peer stands. */
export type PathReport = {
  type: 'stats';
  to: string;
  state: 'gathering' | 'checking' | 'connected' | 'disconnected' | 'failed' | 'restarting';
  via?: 'direct' | 'relay';
  transport?: 'udp' | 'tcp' | 'tls';
};

/** What the server tells of the room; in a session each has a number. */
export type News = { n?: number } & (
  | { type: 'peer-joined'; peer: PeerInfo }
  | { type: 'peer-left'; peer: string; reason: LeaveReason }
  | { type: 'peer-away'; peer: string; reason: LeaveReason; seat_ms: number }
  | { type: 'peer-back'; peer: string }
  | { type: 'peer-updated'; peer: string; name: string; metadata?: Metadata }
  | ((Signal | Restart) & { from: string })
  | PathNews
  | { type: 'message'; from: string; direct?: boolean; data: Json }
);

export type ErrorMessage = {
  type: 'error';
  /** Those of the appliance's calls have a number. */
  n?: number;
  re?: string;
  code: string;
  message: string;
  remedy: string;
  fatal: boolean;
};

export type IceServersMessage = { type: 'ice-servers'; ice_servers: IceServer[]; ice_ttl_ms: number };
export type Bye = { type: 'bye'; reason: string; closing_in_ms?: number; retry_after_ms: number };

export type ServerMessage =
  | { type: 'welcome'; server: string; heartbeat_ms: number; seat_ms: number; limits: Limits }
  | Joined
  | Resumed
  | News
  | IceServersMessage
  | { type: 'ping'; seq: number; rtt_us: number; got?: number }
  | { type: 'heartbeat'; heartbeat_ms: number }
  | Bye
  | ErrorMessage;

/** What a room is told: it must arrive once and in order, so it is numbered and kept until the server has it. */
export type Lasting =
  | ((Signal | Restart) & { to: string })
  | { type: 'message'; id?: string; to?: string; data: Json }
  | { type: 'update'; name?: string; metadata?: Metadata };

export type ClientMessage =
  | { type: 'hello'; client: string; class: 'browser'; heartbeat_ms?: number }
  | { type: 'join'; room: string; name?: string; metadata?: Metadata; token?: string; session?: string }
  | { type: 'resume'; session: string; last: number }
  | (Lasting & { n?: number })
  | { type: 'ice-servers' }
  | { type: 'stats'; stats: object }
  | PathReport
  | { type: 'heartbeat'; heartbeat_ms: number }
  | { type: 'pong'; seq: number; last?: number }
  | { type: 'leave' };

/** Reads one text frame; null for anything that is not an object with a type, which the protocol lets us ignore. */
export function parseMessage(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') return null;
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value !== 'object' || value === null || !('type' in value)) return null;
    return value as ServerMessage;
  } catch {
    return null;
  }
}
