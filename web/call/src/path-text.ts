import type { Path } from '../../sdk/src/index.js';

/** The words for a connection: its path while it works, its trouble while it does not. */
export function pathText(state: RTCPeerConnectionState, path: Path | null): string {
  if (state === 'disconnected' || state === 'failed') return 'interrupted';
  if (state !== 'connected' || !path) return 'connecting';
  return path.rttMs === undefined ? way(path) : `${way(path)} · ${rtt(path.rttMs)}`;
}

function way({ kind, transport }: Path): string {
  if (kind === 'direct') return 'direct';
  return transport ? `relay ${transport}` : 'relay';
}

function rtt(ms: number): string {
  return ms < 1 ? '<1 ms' : `${Math.round(ms)} ms`;
}
