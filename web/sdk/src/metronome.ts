import { type Clock, pageClock } from './clock.js';

/** The share of the accumulated drift that one interval takes back. */
const SMOOTHING = 0.3;
const MIN_DELAY_MS = 10;
/** Behind by more than this many periods the grid starts anew: lost beats are not replayed. */
const REBASE_PERIODS = 3;

/** The next timer delay when the beat so far is drift ms behind its grid. */
export function nextDelay(period: number, drift: number): number {
  return Math.max(MIN_DELAY_MS, period - SMOOTHING * drift);
}

/** Calls beat on a grid of period ms until the returned function is called. */
export function startMetronome(period: number, beat: () => void, clock: Clock = pageClock): () => void {
  let due = clock.now() + period;
  const fire = (): void => {
    const now = clock.now();
    const behind = now - due;
    const rebased = behind > REBASE_PERIODS * period;
    due = rebased ? now + period : due + period;
    cancel = clock.after(nextDelay(period, rebased ? 0 : behind), fire); // A new grid has no drift yet.
    beat();
  };
  let cancel = clock.after(period, fire);
  return () => cancel();
}
