import { startMetronome } from './metronome.js';

/** Calls tick every period ms, also while the tab is hidden, until the returned function is called. */
export function startTicker(period: number, tick: () => void): () => void {
  let stopWindow: (() => void) | null = null;
  const worker = startWorker(period, tick, () => {
    stopWindow = startMetronome(period, tick);
  });
  return () => {
    worker?.terminate();
    stopWindow?.();
  };
}

/** Where workers cannot start (old browser, strict policy), fallback keeps time on the page's own timers. */
function startWorker(period: number, tick: () => void, fallback: () => void): Worker | null {
  try {
    const worker = new Worker(new URL('./ticker-worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = tick;
    worker.onerror = fallback;
    worker.postMessage(period);
    return worker;
  } catch {
    fallback();
    return null;
  }
}
