import type { Clock } from './clock.js';
import { type PeerStats, type Reading, type Totals, fitReport } from './stats.js';

const DEFAULT_INTERVAL_MS = 10_000;

interface Source {
  read(before: Totals | undefined): Promise<Reading>;
}

/**
 * Sends a summary of all connections upstream, every so often, until the signal aborts. Its rates are since the report
 * before, whatever the page reads in between.
 */
export function reportStats(
  clock: Clock,
  intervalMs: number = DEFAULT_INTERVAL_MS,
  signal: AbortSignal,
  peers: ReadonlyMap<string, Source>,
  send: (stats: Record<string, PeerStats>) => void,
): void {
  if (intervalMs <= 0) return;
  let totals = new Map<string, Totals>();
  const report = async (): Promise<void> => {
    const readings = await readAll(peers, totals);
    totals = new Map(readings.map(([id, reading]) => [id, reading.totals]));
    const stats = fitReport(Object.fromEntries(readings.map(([id, reading]) => [id, reading.stats])));
    if (!signal.aborted && readings.length > 0) send(stats);
  };
  const next = (): void => {
    const cancel = clock.after(intervalMs, () => {
      signal.removeEventListener('abort', cancel);
      // A connection that closes while it is read is in the next report, or gone.
      void report()
        .catch(() => undefined)
        .then(() => {
          if (!signal.aborted) next();
        });
    });
    signal.addEventListener('abort', cancel, { once: true });
  };
  next();
}

function readAll(peers: ReadonlyMap<string, Source>, totals: Map<string, Totals>): Promise<[string, Reading][]> {
  return Promise.all([...peers].map(async ([id, peer]) => [id, await peer.read(totals.get(id))] as [string, Reading]));
}
