import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 50;

/** Waits for a condition and returns its first truthy value. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`after ${timeoutMs} ms still not: ${what}`);
    await pause(POLL_MS);
  }
}
