const FIRST_MS = 250;
const CAP_MS = 3000;
/** The part of each wait that is certain; the rest is drawn, so that a room does not come back in one instant. */
const CERTAIN = 0.4;

/** The wait before reconnect attempt n (from 0): 100–250 ms at first, doubling, at most 3 s. random is in [0, 1). */
export function backoffDelay(attempt: number, random: number): number {
  const ceiling = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return ceiling * (CERTAIN + (1 - CERTAIN) * random);
}
