import type { Clock } from '../clock.js';
import { TourbillonError, unreachable } from '../errors.js';
import { Link } from '../link.js';
import type { IceServer } from '../protocol.js';

export interface Visit {
  url: string;
  room: string;
  token?: string | undefined;
  clock: Clock;
  timeoutMs: number;
  signal: AbortSignal;
}

/** Enters a room only to be given its ICE servers, and leaves it. Rejects with a TourbillonError. */
export function visitForServers({ url, room, token, clock, timeoutMs, signal }: Visit): Promise<IceServer[]> {
  return new Promise((resolve, reject) => {
    const end = (error: TourbillonError | null, servers: IceServer[] = []): void => {
      cancel();
      link.close();
      if (error) reject(error);
      else resolve(servers);
    };
    const cancel = clock.after(timeoutMs, () => end(unreachable()));
    const link = new Link(url, clock, {
      open: () => link.send({ type: 'join', room, name: 'Connection check', ...(token && { token }) }),
      message(message) {
        if (message.type === 'error') {
          return end(new TourbillonError(message.code, message.message, message.remedy, message.fatal));
        }
        if (message.type !== 'joined') return;
        link.send({ type: 'leave' });
        end(null, message.ice_servers ?? []);
      },
      lost: () => end(unreachable()),
    });
    signal.addEventListener('abort', () => end(new TourbillonError('left', 'the check was ended')), { once: true });
  });
}
