import { RELAY_MODES, type RelayMode } from '../../sdk/src/ice-servers.js';

/** What the page's address says. */
export interface Params {
  room: string;
  name: string;
  relay?: RelayMode;
  /** From the fragment, which browsers keep out of requests, logs and referrers. */
  token?: string;
}

export function readParams(url: URL): Params {
  const relay = RELAY_MODES.find((mode) => mode === url.searchParams.get('relay'));
  const token = new URLSearchParams(url.hash.slice(1)).get('token');
  return {
    room: url.searchParams.get('room')?.trim() ?? '',
    name: url.searchParams.get('name')?.trim() ?? '',
    ...(relay ? { relay } : {}),
    ...(token ? { token } : {}),
  };
}

/** The same page in this room under this name. */
export function callURL(page: URL, room: string, name: string): URL {
  const url = new URL(page);
  url.searchParams.set('room', room);
  if (name) url.searchParams.set('name', name);
  else url.searchParams.delete('name');
  return url;
}

/** The pre-call test, for this room with what lets this user in; without a room it makes one up. */
export function checkURL(page: URL, room?: string): URL {
  const url = new URL('../check/', page);
  if (room) url.searchParams.set('room', room);
  url.hash = page.hash;
  return url;
}

/** The link for others: the room and what lets them in, but neither this user's name nor a forced relay. */
export function inviteURL(page: URL, room: string): URL {
  const url = new URL(page);
  url.search = '';
  url.searchParams.set('room', room);
  return url;
}
