import type { Path, PathProgress } from '../../sdk/src/index.js';

/** The words for a connection: its path while it works, its trouble and what the server does about it while it does not. */
export function pathText(state: RTCPeerConnectionState, path: Path | null, progress?: PathProgress): string {
  if (state === 'disconnected' || state === 'failed') return trouble(progress);
  if (state !== 'connected' || !path) return 'connecting';
  return path.rttMs === undefined ? way(path) : `${way(path)} · ${rtt(path.rttMs)}`;
}

function trouble(progress: PathProgress | undefined): string {
  if (progress?.state === 'failed') return 'no way through';
  if (!progress || progress.attempt === 0) return 'interrupted';
  return `interrupted · trying ${progress.route === 'direct' ? 'again' : progress.route.replace('/', ' ')}`;
}

function way({ kind, transport }: Path): string {
  if (kind === 'direct') return 'direct';
  return transport ? `relay ${transport}` : 'relay';
}

function rtt(ms: number): string {
  return ms < 1 ? '<1 ms' : `${Math.round(ms)} ms`;
}
