/** The messages of tourbillon.v1 as the browser sees them. Durations are milliseconds. */

export const SUBPROTOCOL = 'tourbillon.v1';

export interface PeerInfo {
  id: string;
  name: string;
  /** The receiver's own role towards this peer in perfect negotiation. */
  polite: boolean;
}

export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

export interface Joined {
  type: 'joined';
  room: string;
  peer: string;
  session: string;
  server: string;
  peers: PeerInfo[];
  ice_servers: IceServer[];
  ice_ttl_ms: number;
  heartbeat_ms: number;
}

export type LeaveReason = 'left' | 'closed' | 'timeout' | 'replaced' | 'slow' | 'shutdown';

export type Description = { type: 'offer' | 'answer'; sdp: string };
export type Candidate = { type: 'candidate'; candidate: RTCIceCandidateInit | null };
/** What one peer says to another. */
export type Signal = Description | Candidate;

export type ServerMessage =
  | Joined
  | { type: 'peer-joined'; peer: PeerInfo }
  | { type: 'peer-left'; peer: string; reason: LeaveReason }
  | (Signal & { from: string })
  | { type: 'ice-servers'; ice_servers: IceServer[]; ice_ttl_ms: number }
  | { type: 'ping'; seq: number; rtt_us: number }
  | { type: 'bye'; reason: string; retry_after_ms: number }
  | { type: 'error'; code: string; message: string; remedy: string; fatal: boolean };

export type ClientMessage =
  | { type: 'join'; room: string; name?: string; token?: string; session?: string }
  | (Signal & { to: string })
  | { type: 'ice-servers' }
  | { type: 'pong'; seq: number }
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
