import { type PeerContext, PeerSession } from './peer-session.js';
import type { LeaveReason, Metadata, PeerInfo } from './protocol.js';

/** How long a peer that is missing after a re-join may take to come back: all come back one after another. */
const GRACE_MS = 10_000;
/** Leavers of whom we may hear again under the same id. */
const COMES_BACK = new Set<LeaveReason>(['replaced', 'slow', 'shutdown']);

export interface RosterHooks {
  added(peer: PeerSession): void;
  removed(peer: PeerSession, reason: LeaveReason): void;
}

/** The peers of one room, and which of them are only missed for the moment. */
export class Roster {
  readonly peers = new Map<string, PeerSession>();
  /** What ends the wait for a missing peer. */
  private readonly graces = new Map<string, () => void>();
  /** Peers whose connection we closed; when one is back, it may still hold its end. */
  private readonly dropped = new Set<string>();

  constructor(
    private readonly context: PeerContext,
    private readonly hooks: RosterHooks,
  ) {}

  /** Takes the list of a "joined". */
  sync(list: readonly PeerInfo[], serverChanged: boolean): void {
    const listed = new Set(list.map(({ id }) => id));
    for (const [id, peer] of this.peers) {
      if (listed.has(id)) continue;
      peer.setAbsent(serverChanged);
      this.startGrace(id, 'closed');
    }
    for (const info of list) this.meet(info, serverChanged);
  }

  /** Takes one peer that is in the room, known or new. */
  meet(info: PeerInfo, serverChanged = false): void {
    this.endGrace(info.id);
    const known = this.peers.get(info.id);
    if (!known) return this.add(info);
    known.describe(info.name, info.metadata);
    known.setAway(info.away ?? false);
    void known.rejoined(info.polite, serverChanged);
  }

  /** Our session went on: whoever was here still is. */
  resumed(): void {
    for (const peer of this.peers.values()) peer.resumed();
  }

  away(id: string, away: boolean): void {
    this.peers.get(id)?.setAway(away);
  }

  updated(id: string, name: string, metadata: Metadata | undefined): void {
    this.peers.get(id)?.describe(name, metadata);
  }

  left(id: string, reason: LeaveReason): void {
    const peer = this.peers.get(id);
    if (!peer) return;
    if (!COMES_BACK.has(reason)) return this.drop(id, reason);
    peer.setAbsent(false);
    this.startGrace(id, reason);
  }

  /** The server is lost again: only it can say who is missing, so nobody is dropped until the next sync. */
  suspend(): void {
    for (const id of [...this.graces.keys()]) this.endGrace(id);
  }

  /** This end has another id now, so to the others every connection is a new one. */
  reset(): void {
    for (const id of [...this.peers.keys()]) this.drop(id, 'replaced');
    this.dropped.clear();
  }

  close(): void {
    this.suspend();
    for (const peer of this.peers.values()) peer.close();
    this.peers.clear();
  }

  private add(info: PeerInfo): void {
    const peer = new PeerSession(info, this.context);
    this.peers.set(info.id, peer);
    this.hooks.added(peer);
    const returning = this.dropped.delete(info.id);
    // The polite side is the newcomer, and the newcomer calls.
    if (info.polite) peer.call();
    else peer.awaitOffer(returning ? 'returning' : 'awaited');
  }

  private drop(id: string, reason: LeaveReason): void {
    this.endGrace(id);
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    if (reason !== 'left') this.dropped.add(id);
    peer.close();
    this.hooks.removed(peer, reason);
  }

  private startGrace(id: string, reason: LeaveReason): void {
    this.endGrace(id);
    this.graces.set(
      id,
      this.context.clock.after(GRACE_MS, () => this.drop(id, reason)),
    );
  }

  private endGrace(id: string): void {
    this.graces.get(id)?.();
    this.graces.delete(id);
  }
}
