import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { check } from '../src/check/check.js';
import { type CheckReport, type Way, type WayState, judge } from '../src/check/report.js';
import { Series } from '../src/check/series.js';
import { FakeSocket, installFakes } from './fakes.js';

describe('a series', () => {
  it('counts loss, order and round trips', () => {
    const series = new Series();
    for (let i = 0; i < 4; i++) series.leave();
    series.arrive(0, 0, 10);
    series.arrive(2, 40, 60);
    series.arrive(1, 20, 50);
    series.arrive(1, 20, 55); // Twice.
    series.arrive(9, 0, 1); // Never sent.
    expect(series.result()).toEqual({
      sent: 4,
      received: 3,
      lossShare: 0.25,
      reordered: 1,
      rttMs: { min: 10, median: 20, p95: 20 },
      jitterMs: 1.2,
    });
    expect(series.isComplete).toBe(false);
  });

  it('has the jitter of RFC 3550: a sixteenth of each difference', () => {
    const series = new Series();
    for (let i = 0; i < 2; i++) series.leave();
    series.arrive(0, 0, 5);
    expect(series.result().jitterMs).toBeNull();
    series.arrive(1, 20, 41);
    expect(series.result().jitterMs).toBe(1);
  });

  it('of nothing is nothing', () => {
    expect(new Series().result()).toMatchObject({ sent: 0, received: 0, lossShare: 0, rttMs: null, jitterMs: null });
  });
});

describe('judge', () => {
  const series = (change: object): object => ({
    sent: 500,
    received: 500,
    lossShare: 0,
    reordered: 0,
    rttMs: { min: 1, median: 20, p95: 30 },
    jitterMs: 2,
    ...change,
  });
  const report = (states: Partial<Record<Way, WayState>>, measured: object = {}): CheckReport =>
    ({
      signaling: { state: 'works' },
      ways: Object.fromEntries(
        (['direct', 'udp', 'tcp', 'tls'] as const).map((way) => {
          const state = states[way] ?? 'works';
          return [way, state === 'works' && way !== 'direct' ? { state, series: series(measured) } : { state }];
        }),
      ),
    }) as unknown as CheckReport;

  it.each<[Partial<Record<Way, WayState>>, string, string[]]>([
    [{}, 'good', []],
    [{ tcp: 'not-offered', tls: 'not-offered' }, 'good', []],
    [{ direct: 'fails' }, 'partly', ['no-direct-udp']],
    [{ direct: 'fails', udp: 'fails' }, 'partly', ['no-udp']],
    [{ udp: 'fails' }, 'partly', ['relay-tcp-only']],
    [{ tcp: 'fails' }, 'partly', ['tcp-fails']],
    [{ tls: 'fails' }, 'partly', ['tls-fails']],
    [{ udp: 'fails', tcp: 'fails', tls: 'not-offered' }, 'partly', ['no-relay']],
    [{ udp: 'not-offered', tcp: 'not-offered', tls: 'not-offered' }, 'partly', ['no-relay']],
    [{ direct: 'fails', udp: 'fails', tcp: 'fails', tls: 'fails' }, 'bad', ['no-media-path']],
  ])('%j is %s', (states, verdict, findings) => expect(judge(report(states))).toEqual({ verdict, findings }));

  it.each([
    [{ rttMs: { min: 1, median: 151, p95: 160 } }, 'slow'],
    [{ jitterMs: 31 }, 'jittery'],
    [{ lossShare: 0.021 }, 'lossy'],
  ])('%j is %s', (measured, finding) => {
    expect(judge(report({}, measured))).toEqual({ verdict: 'partly', findings: [finding] });
  });

  it.each([
    ['unreachable', 'no-server'],
    ['token-required', 'refused'],
  ])('a server that is %s is bad', (code, finding) => {
    const refused = { ...report({}), signaling: { state: 'fails', code } } as CheckReport;
    expect(judge(refused)).toEqual({ verdict: 'bad', findings: [finding] });
  });
});

describe('check', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    installFakes();
  });
  afterEach(() => void vi.useRealTimers());

  it('enters a room of its own, without a seat, and leaves it', async () => {
    const seen: string[] = [];
    const result = check({ url: 'ws://h/ws', progress: ({ ways, verdict }) => seen.push(`${ways.udp.state} ${verdict}`) });
    FakeSocket.last.open();
    expect(FakeSocket.last.sent).toMatchObject([{ type: 'join', room: expect.stringMatching(/^check-[0-9a-f]{16}$/) }]);
    FakeSocket.last.receive({
      type: 'joined',
      room: 'check',
      peer: 'p',
      session: 's',
      server: 'one',
      peers: [],
      ice_servers: [],
      ice_ttl_ms: 1000,
      heartbeat_ms: 1000,
    });
    expect(FakeSocket.last.sentOf('leave')).toHaveLength(1);
    const report = await result;
    expect(report).toMatchObject({ server: 'h', signaling: { state: 'works' }, ways: { udp: { state: 'not-offered' } } });
    expect(seen[0]).toBe('waiting running');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says what the server said', async () => {
    const result = check({ url: 'ws://h/ws', token: 'T', room: 'demo' });
    FakeSocket.last.open();
    expect(FakeSocket.last.sent).toMatchObject([{ room: 'demo', token: 'T' }]);
    FakeSocket.last.receive({ type: 'error', code: 'bad-token', message: 'expired', remedy: 'get another', fatal: true });
    expect(await result).toMatchObject({
      verdict: 'bad',
      findings: ['refused'],
      signaling: { state: 'fails', code: 'bad-token', reason: 'expired: get another' },
    });
  });

  it('does not wait for ever', async () => {
    const result = check({ url: 'ws://h/ws' });
    await vi.advanceTimersByTimeAsync(8000);
    expect(await result).toMatchObject({ verdict: 'bad', findings: ['no-server'] });
  });

  it('ends when told', async () => {
    const ending = new AbortController();
    const result = check({ url: 'ws://h/ws', signal: ending.signal });
    ending.abort();
    expect(await result).toMatchObject({ verdict: 'bad', signaling: { state: 'fails' } });
  });
});
