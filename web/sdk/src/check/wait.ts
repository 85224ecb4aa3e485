import type { Clock } from '../clock.js';

/** The time that a check runs on, and what ends it early. */
export interface Patience {
  clock: Clock;
  signal: AbortSignal;
}

/** Settles as the promise does, or rejects when so many milliseconds have passed or the check was ended. */
export function within<T>(promise: Promise<T>, ms: number, { clock, signal }: Patience, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => settle(() => reject(new Error('the check was ended')));
    const cancel = clock.after(ms, () => settle(() => reject(late())));
    const settle = (how: () => void): void => {
      cancel();
      signal.removeEventListener('abort', abort);
      how();
    };
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** Resolves after so many milliseconds, or when the check was ended. */
export function pause(ms: number, { clock, signal }: Patience): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
