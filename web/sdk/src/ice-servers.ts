import type { IceServer } from './protocol.js';

/** The ways to the relay that a test or a user can force, the best for media first. */
export const RELAY_MODES = ['udp', 'tcp', 'tls'] as const;
export type RelayMode = (typeof RELAY_MODES)[number];

/** The transport that a TURN URL asks for, null for STUN and anything else. */
export function relayTransport(url: string): RelayMode | null {
  const match = /^(turns?):[^?]+(?:\?transport=(udp|tcp))?$/i.exec(url);
  if (!match) return null;
  if (match[1]?.toLowerCase() === 'turns') return 'tls';
  return match[2]?.toLowerCase() === 'tcp' ? 'tcp' : 'udp';
}

/** The connection configuration for these servers; relay keeps only the TURN URLs of that one transport. */
export function rtcConfiguration(servers: readonly IceServer[], relay?: RelayMode): RTCConfiguration {
  if (!relay) return { iceServers: servers.map(copyServer) };
  const kept = servers
    .map((server) => ({ ...copyServer(server), urls: urlsOf(server).filter((url) => relayTransport(url) === relay) }))
    .filter((server) => server.urls.length > 0);
  return { iceServers: kept, iceTransportPolicy: 'relay' };
}

/** The STUN services that are asked by UDP. */
export function stunURLs(servers: readonly IceServer[]): string[] {
  return servers.flatMap(urlsOf).filter((url) => /^stun:/i.test(url));
}

/** Whether servers received at receivedAt with this lifetime are too old to start a restart with. */
export function areStale(receivedAt: number, ttlMs: number, now: number): boolean {
  return now - receivedAt > ttlMs / 2;
}

function urlsOf(server: IceServer): string[] {
  return typeof server.urls === 'string' ? [server.urls] : server.urls;
}

function copyServer({ urls, username, credential }: IceServer): RTCIceServer {
  return username === undefined ? { urls } : { urls, username, credential: credential ?? '' };
}
