/** The time and the chance that everything here runs on; a test puts its own in their place. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Calls f once after ms milliseconds; the returned function prevents that. */
  after(ms: number, f: () => void): () => void;
  /** A number in [0, 1), by which waits are spread. */
  random(): number;
}

/** The page's own clock. */
export const pageClock: Clock = {
  now: () => performance.now(),
  after(ms, f) {
    const timer = setTimeout(f, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
