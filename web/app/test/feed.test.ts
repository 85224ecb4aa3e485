import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Feed, type Phase } from '../src/feed.js';

class FakeSource {
  static all: FakeSource[] = [];
  onerror: (() => void) | null = null;
  closed = false;
  private readonly listeners = new Map<string, (event: { data: string }) => void>();

  constructor() {
    FakeSource.all.push(this);
  }

  addEventListener(type: string, listener: (event: { data: string }) => void): void {
    this.listeners.set(type, listener);
  }

  fire(type: string): void {
    this.listeners.get(type)?.({ data: '{}' });
  }

  close(): void {
    this.closed = true;
  }
}

let phases: Phase[];
let feed: Feed;
const status = (code: number) => vi.stubGlobal('fetch', async () => ({ status: code }));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', FakeSource);
  FakeSource.all = [];
  phases = [];
  feed = new Feed({ phase: (phase) => phases.push(phase), hello: () => undefined, state: () => undefined });
  feed.open();
});

afterEach(() => void vi.useRealTimers());

describe('the feed', () => {
  it('is live with the first event, and opens again after a loss', async () => {
    FakeSource.all[0]?.fire('hello');
    status(502);
    FakeSource.all[0]?.onerror?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSource.all).toHaveLength(2);
    FakeSource.all[1]?.fire('state');
    expect(phases).toEqual(['live', 'reconnecting', 'live']);
  });

  it('gives a silent stream up', async () => {
    FakeSource.all[0]?.fire('hello');
    status(200);
    await vi.advanceTimersByTimeAsync(6000);
    expect(FakeSource.all[0]?.closed).toBe(true);
    expect(FakeSource.all).toHaveLength(2);
  });

  it('stops when a link is wanted, until the user is back', async () => {
    status(401);
    FakeSource.all[0]?.onerror?.();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(phases.at(-1)).toBe('locked');
    expect(FakeSource.all).toHaveLength(1);
    feed.retryIfLocked();
    expect(FakeSource.all).toHaveLength(2);
  });
});
