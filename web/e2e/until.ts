import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 50;

/**
 * How long anything that a test waits for may take. It tells only how soon a failure is said: a loaded machine can take
 * many times what an idle one does, and no test is to fail of that.
 */
export const PATIENCE_MS = 90_000;

/** Waits for a condition and returns its first truthy value. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs} ms still not: ${what}`);
    await pause(POLL_MS);
  }
}
