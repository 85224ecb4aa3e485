import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTicker } from '../src/ticker.js';

class FakeWorker {
  static last: FakeWorker;
  onmessage: (() => void) | null = null;
  onerror: (() => void) | null = null;
  readonly postMessage = vi.fn();
  readonly terminate = vi.fn();
  constructor() {
    FakeWorker.last = this;
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the ticker', () => {
  it('ticks as its worker does, and ends it', () => {
    vi.stubGlobal('Worker', FakeWorker);
    const tick = vi.fn();
    const stop = startTicker(100, tick);
    expect(FakeWorker.last.postMessage).toHaveBeenCalledWith(100);
    FakeWorker.last.onmessage?.();
    expect(tick).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
    stop();
    expect(FakeWorker.last.terminate).toHaveBeenCalledOnce();
  });

  it('keeps time on the page where a policy stops the worker', () => {
    vi.stubGlobal('Worker', FakeWorker);
    const tick = vi.fn();
    const stop = startTicker(100, tick);
    FakeWorker.last.onerror?.();
    FakeWorker.last.onerror?.();
    vi.advanceTimersByTime(300);
    expect(tick).toHaveBeenCalledTimes(3);
    stop();
    FakeWorker.last.onerror?.();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps time on the page where workers cannot be made', () => {
    vi.stubGlobal('Worker', function () {
      throw new DOMException('foreign origin', 'SecurityError');
    });
    const tick = vi.fn();
    const stop = startTicker(100, tick);
    vi.advanceTimersByTime(200);
    expect(tick).toHaveBeenCalledTimes(2);
    stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
