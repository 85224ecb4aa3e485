/**
 * The browser client of Tourbillon: joins a room and keeps the calls with everyone in it alive.
 *
 *     const room = await join({ room: 'demo', name: 'Ada', media });
 *     room.on('peer', (peer) => { video.srcObject = peer.stream; });
 */
import { type JoinOptions, type Room, RoomSession } from './room.js';

export { TourbillonError } from './errors.js';
export type { RelayMode } from './ice-servers.js';
export type { Path } from './path.js';
export type { Peer, PeerEvents } from './peer.js';
export type { LeaveReason } from './protocol.js';
export type { JoinOptions, Room, RoomEvents, RoomState } from './room.js';

/** Joins a room. Rejects with a TourbillonError when the server refuses or cannot be reached in time. */
export async function join(options: JoinOptions): Promise<Room> {
  const room = new RoomSession(options);
  await room.start();
  return room;
}
