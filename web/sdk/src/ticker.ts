import { type Clock, pageClock } from './clock.js';
import { startMetronome } from './metronome.js';

/**
 * Calls tick every period ms, also while the tab is hidden, until the returned function is called. A clock other than
 * the page's own is kept to.
 */
export function startTicker(period: number, tick: () => void, clock: Clock = pageClock): () => void {
  let stopWindow: (() => void) | null = null;
  let ended = false;
  const keepOnPage = (): void => {
    if (!ended) stopWindow ??= startMetronome(period, tick, clock);
  };
  const worker = clock === pageClock ? startWorker(period, tick, keepOnPage) : null;
  if (!worker) keepOnPage();
  return () => {
    ended = true;
    worker?.terminate();
    stopWindow?.();
  };
}

/**
 * Null, or a call of fallback later, where workers cannot start: an old browser, a strict policy, a client that was
 * loaded from another origin.
 */
function startWorker(period: number, tick: () => void, fallback: () => void): Worker | null {
  try {
    const worker = new Worker(new URL('./ticker-worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = tick;
    worker.onerror = fallback;
    worker.postMessage(period);
    return worker;
  } catch {
    return null;
  }
}
