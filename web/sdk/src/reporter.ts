import type { Clock } from './clock.js';
import { type PeerStats, fitReport } from './stats.js';

const DEFAULT_INTERVAL_MS = 10_000;

/** Sends a summary of all connections upstream, every so often, until the signal aborts. */
export function reportStats(
  clock: Clock,
  intervalMs: number = DEFAULT_INTERVAL_MS,
  signal: AbortSignal,
  read: () => Promise<Record<string, PeerStats>>,
  send: (stats: Record<string, PeerStats>) => void,
): void {
  if (intervalMs <= 0) return;
  const report = async (): Promise<void> => {
    const stats = fitReport(await read());
    if (!signal.aborted && Object.keys(stats).length > 0) send(stats);
  };
  const next = (): void => {
    const cancel = clock.after(intervalMs, () => {
      signal.removeEventListener('abort', cancel);
      void report().finally(() => {
        if (!signal.aborted) next();
      });
    });
    signal.addEventListener('abort', cancel, { once: true });
  };
  next();
}
