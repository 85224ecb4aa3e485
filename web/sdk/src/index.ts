/**
 * The browser client of Tourbillon: joins a room and keeps the calls with everyone in it alive.
 *
 *     const room = await join({ room: 'demo', name: 'Ada', media });
 *     room.on('peer', (peer) => { video.srcObject = peer.stream; });
 */
import type { JoinOptions, Room } from './room.js';
import { RoomSession } from './session.js';

export { type CheckOptions, check } from './check/check.js';
export type { ProbeResult } from './check/probes.js';
export type { CallResult, CheckReport, Finding, SignalingState, Verdict, Way, WayResult, WayState } from './check/report.js';
export type { SeriesResult } from './check/series.js';
export type { Clock } from './clock.js';
export {
  type ClientErrorCode,
  type ErrorCode,
  type ServerErrorCode,
  type SizedField,
  TooLargeError,
  TourbillonError,
} from './errors.js';
export type { RelayMode } from './ice-servers.js';
export type { Path } from './path.js';
export type { PathProgress, Peer, PeerEvents } from './peer.js';
export type { Capability, Json, LeaveReason, Metadata, PathRoute, PathState } from './protocol.js';
export type { JoinOptions, Room, RoomEvents, RoomState } from './room.js';
export type { PeerStats } from './stats.js';

/** Joins a room. Rejects with a TourbillonError when the server refuses or cannot be reached in time. */
export async function join(options: JoinOptions): Promise<Room> {
  const room = new RoomSession(options);
  await room.start();
  return room;
}
