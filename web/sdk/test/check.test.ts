import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { check } from '../src/check/check.js';
import { Probes, probeRequest, readTold } from '../src/check/probes.js';
import { type CallResult, type CheckReport, type Way, type WayState, cutShort, judge } from '../src/check/report.js';
import { Series } from '../src/check/series.js';
import { FakeChannel, FakeConnection, FakeSocket, installFakes, settle } from './fakes.js';

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
    [{ direct: 'fails', udp: 'fails', tls: 'not-offered' }, 'partly', ['no-udp']],
    [{ direct: 'fails', udp: 'fails', tcp: 'fails' }, 'partly', ['tls-only']],
    [{ direct: 'fails', udp: 'fails', tcp: 'not-offered' }, 'partly', ['tls-only']],
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

  it.each<[Partial<CallResult>, string[]]>([
    [{}, []],
    [{ rttMs: 151 }, ['slow']],
    [{ jitterMs: 31 }, ['jittery']],
    [{ lossShare: 0.021, rttMs: null }, ['lossy']],
  ])('takes the figures of the call where there is one: %j', (met, findings) => {
    const call: CallResult = { way: 'direct', sent: 9, received: 9, lossShare: 0, reordered: 0, rttMs: 1, jitterMs: 1, ...met };
    expect(judge({ ...report({}, { jitterMs: 99, lossShare: 0.49 }), call }).findings).toEqual(findings);
  });

  it('takes the figures of the relay where the call died', () => {
    const call: CallResult = { way: 'direct', sent: 9, received: 2, lossShare: 0.78, reordered: 0, rttMs: 999, jitterMs: 99 };
    const judged = (relay: object): unknown => judge({ ...report({ direct: 'fails' }, relay), call }).findings;
    expect(judged({})).toEqual(['no-direct-udp']);
    expect(judged({ jitterMs: 31 })).toEqual(['no-direct-udp', 'jittery']);
  });

  /** A relayed way of which so much got lost. */
  const lossy = (lossShare: number): object => ({ state: 'works', openedMs: 9, series: series({ lossShare }) });

  it.each<[string, object, string, string[]]>([
    ['all relays', { udp: lossy(0.99), tcp: lossy(0.73), tls: lossy(0.5) }, 'partly', ['no-relay']],
    ['TCP', { tcp: lossy(0.5) }, 'partly', ['tcp-fails']],
    ['UDP', { udp: lossy(0.5) }, 'partly', ['relay-tcp-only']],
    ['less of TCP', { tcp: lossy(0.49) }, 'good', []],
    [
      'every way',
      { direct: { state: 'fails', openedMs: 9 }, udp: lossy(0.9), tcp: lossy(0.9), tls: lossy(0.9) },
      'bad',
      ['mostly-lost'],
    ],
  ])('a way fails that loses half: %s', (_, ways, verdict, findings) => {
    const whole = report({});
    expect(judge({ ...whole, ways: { ...whole.ways, ...ways } })).toEqual({ verdict, findings });
  });

  it('a server that went away leaves nothing to be said of the ways', () => {
    const lost = { ...report({ udp: 'fails' }, { lossShare: 0.73 }), signaling: { state: 'lost' } } as CheckReport;
    expect(judge(lost)).toEqual({ verdict: 'unfinished', findings: ['server-lost'] });
  });

  it('keeps of a server that went away what was measured whole', () => {
    const whole = report({ tls: 'not-offered' });
    const call: CallResult = { way: 'direct', sent: 9, received: 9, lossShare: 0, reordered: 0, rttMs: 1, jitterMs: 1 };
    expect(cutShort({ ...whole, call })).toEqual({ ...whole, call });
    const cut = cutShort({
      ...whole,
      ways: { ...whole.ways, direct: { state: 'fails', reason: 'no way' }, udp: lossy(0.33), tcp: { state: 'running' } },
      call: { ...call, lossShare: 0.33 },
    } as CheckReport);
    expect(Object.values(cut.ways).map(({ state }) => state)).toEqual(['unfinished', 'unfinished', 'unfinished', 'not-offered']);
    expect(cut.ways.udp).toEqual({ state: 'unfinished' });
    expect(cut.call).toBeUndefined();
  });

  it.each([
    ['unreachable', 'no-server'],
    ['token-required', 'refused'],
  ])('a server that is %s is bad', (code, finding) => {
    const refused = { ...report({}), signaling: { state: 'fails', code } } as CheckReport;
    expect(judge(refused)).toEqual({ verdict: 'bad', findings: [finding] });
  });
});

describe('a series of probes', () => {
  const request = { count: 4, interval_ms: 20, size: 160 };
  /** A probe with its number that left the appliance at so many of its milliseconds. */
  function probe(number: number, leftMs: number, size = 160): ArrayBuffer {
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(0, number);
    view.setBigInt64(4, BigInt(leftMs) * 1_000_000n);
    return view.buffer;
  }

  it.each([
    [10_000, { count: 500, interval_ms: 20 }],
    [60_000, { count: 1000, interval_ms: 60 }],
    [5, { count: 1, interval_ms: 20 }],
  ])('of %d ms is within what the appliance sends', (ms, asked) => {
    expect(probeRequest(ms)).toEqual({ ...asked, size: 160 });
  });

  it('counts what came here, across two clocks', () => {
    const probes = new Probes(request);
    expect(probes.begun).toBe(false);
    expect(probes.take(probe(0, 5000), 7)).toBe(true);
    expect(probes.take(probe(2, 5040), 63)).toBe(true); // 16 ms later than the first one.
    expect(probes.take(probe(1, 5020), 63)).toBe(true); // 20 ms later than that.
    expect(probes.take(probe(1, 5020), 64)).toBe(true); // Twice.
    expect(probes.take(probe(9, 5020), 65)).toBe(true); // Never asked for.
    expect(probes.take(probe(3, 5060, 12), 66)).toBe(false);
    expect(probes.take('{}', 66)).toBe(false);
    expect(probes.begun).toBe(true);
    expect(probes.result(12.345)).toEqual({
      sent: 4,
      received: 3,
      lossShare: 0.25,
      reordered: 1,
      rttMs: 12.3,
      jitterMs: 2.2, // 16/16, then (20 - 1)/16 more.
    });
    expect(new Probes(request).result(null)).toMatchObject({ received: 0, lossShare: 1, rttMs: null, jitterMs: null });
  });

  it('is told of by the appliance', () => {
    const told = { sent: 500, received: 495, lost: 5, reordered: 1, duplicates: 0, rtt_us: 12345, rttvar_us: 1, jitter_us: 1260 };
    expect(readTold(JSON.stringify(told))).toEqual({
      sent: 500,
      received: 495,
      lossShare: 0.01,
      reordered: 1,
      rttMs: 12.3,
      jitterMs: 1.3,
    });
    expect(readTold('{"sent":5,"received":0}')).toMatchObject({ lossShare: 1, rttMs: null, jitterMs: null });
    expect(readTold('{"error":"no"}')).toEqual({ error: 'no' });
    expect(readTold(probe(0, 0))).toBeNull();
  });
});

/** The channel of the call to the appliance. */
class MeasureChannel extends FakeChannel {
  onclose: (() => void) | null = null;
}

class CallConnection extends FakeConnection {
  readonly measure = new MeasureChannel();

  override createDataChannel(label: string): FakeChannel {
    return label === 'measure' ? this.measure : super.createDataChannel(label);
  }
}

describe('check', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    installFakes();
    vi.stubGlobal('RTCPeerConnection', CallConnection);
  });
  afterEach(() => void vi.useRealTimers());

  const nobody = { type: 'error', code: 'unknown-peer', message: 'no such peer', remedy: '', fatal: false } as const;

  /** Lets the visitor in; the server has neither STUN nor relay, so that the call is all there is. */
  function enter(peers: { id: string; name: string; polite: boolean }[] = []): void {
    FakeSocket.last.open();
    const seat = { room: 'check', peer: 'p', session: 's', server: 'one', ice_ttl_ms: 1000, heartbeat_ms: 1000 };
    FakeSocket.last.receive({ type: 'joined', ...seat, peers, ice_servers: [] });
  }

  /**
   * The report of a check that asks, before it holds anything against a way, whether the server is still the same one; the
   * answer is this process, or none.
   */
  async function doubted(result: Promise<CheckReport>, server: string | null = 'one'): Promise<CheckReport> {
    for (let i = 0; i < 20 && FakeSocket.all.length < 2; i++) await settle();
    expect(FakeSocket.all).toHaveLength(2);
    if (server === null) FakeSocket.last.drop();
    else {
      FakeSocket.last.open();
      expect(FakeSocket.last.sent).toMatchObject([{ type: 'hello' }]);
      const limits = { message_bytes: 1, sdp_bytes: 1, data_bytes: 1, messages_per_s: 1, burst: 1 };
      FakeSocket.last.receive({ type: 'welcome', server, heartbeat_ms: 1000, seat_ms: 0, limits });
    }
    return result;
  }

  /** The call of the check, answered and open. */
  async function answered(): Promise<CallConnection> {
    await settle();
    expect(FakeSocket.last.sentOf('offer')).toMatchObject([{ to: '@appliance' }]);
    FakeSocket.last.receive({ type: 'answer', from: '@appliance', sdp: 'v=0' });
    await settle();
    const call = FakeConnection.last as CallConnection;
    expect(call.remoteDescription).toEqual({ type: 'answer', sdp: 'v=0' });
    call.measure.open();
    await settle();
    return call;
  }

  it('enters a room of its own, without a seat, and leaves it', async () => {
    const seen: string[] = [];
    const result = check({ url: 'ws://h/ws', progress: ({ ways, verdict }) => seen.push(`${ways.udp.state} ${verdict}`) });
    enter();
    expect(FakeSocket.last.sent).toMatchObject([{ type: 'join', room: expect.stringMatching(/^check-[0-9a-f]{16}$/) }]);
    await settle();
    const seat = FakeSocket.last;
    seat.receive(nobody);
    const report = await doubted(result);
    expect(seat.sentOf('leave')).toHaveLength(1);
    expect(report).toMatchObject({ server: 'h', signaling: { state: 'works' }, ways: { udp: { state: 'not-offered' } } });
    expect(report.ways.direct).toEqual({ state: 'not-offered' });
    expect(report.call).toBeUndefined();
    expect(seen[0]).toBe('waiting running');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('calls the appliance, sends its probes back and takes its word', async () => {
    const result = check({ url: 'ws://h/ws', durationMs: 40 });
    enter();
    FakeSocket.last.receive({ type: 'ping', seq: 7, rtt_us: 0 });
    expect(FakeSocket.last.sentOf('pong')).toEqual([{ type: 'pong', seq: 7 }]);
    const seat = FakeSocket.last;
    const { measure } = await answered();
    expect(measure.sent).toEqual(['{"count":2,"interval_ms":20,"size":160}']);
    const probe = new ArrayBuffer(160);
    measure.onmessage?.({ data: probe });
    expect(measure.sent[1]).toBe(probe);
    measure.onmessage?.({ data: '{"sent":5,"received":3,"rtt_us":4000,"jitter_us":0}' });
    expect(seat.sentOf('leave')).toHaveLength(0);
    const report = await doubted(result);
    expect(report.ways.direct).toMatchObject({ state: 'works', proof: 'call' });
    expect(report.call).toEqual({ way: 'direct', sent: 5, received: 3, lossShare: 0.4, reordered: 0, rttMs: 4, jitterMs: 0 });
    expect(seat.sentOf('leave')).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('asks again for a series that does not begin, and counts itself when the word gets lost', async () => {
    const result = check({ url: 'ws://h/ws', durationMs: 40 });
    enter();
    const { measure } = await answered();
    await vi.advanceTimersByTimeAsync(500);
    expect(measure.sent).toHaveLength(2);
    measure.onmessage?.({ data: new ArrayBuffer(160) });
    measure.onmessage?.({ data: '{"error":"a measurement is under way"}' });
    await vi.advanceTimersByTimeAsync(3000);
    const report = await doubted(result);
    expect(report.call).toMatchObject({ way: 'direct', sent: 2, received: 1, lossShare: 0.5, rttMs: null });
    expect(report.ways.direct).toMatchObject({ state: 'fails', proof: 'call', reason: '50 % of the packets got lost' });
    expect(report).toMatchObject({ verdict: 'bad', findings: ['mostly-lost'] });
    expect(measure.sent).toHaveLength(3); // Two requests, one probe.
    expect(vi.getTimerCount()).toBe(0);
  });

  it('finds a way dead that opens and then loses everything', async () => {
    const result = check({ url: 'ws://h/ws' });
    enter();
    const seat = FakeSocket.last;
    await answered();
    for (let seq = 1; seq <= 25; seq++) {
      await vi.advanceTimersByTimeAsync(500);
      seat.receive({ type: 'ping', seq, rtt_us: 0 });
    }
    const report = await doubted(result);
    expect(report.ways.direct).toMatchObject({
      state: 'fails',
      proof: 'call',
      reason: 'the path opened, and no packet arrived',
    });
    expect(report).toMatchObject({ verdict: 'bad', findings: ['mostly-lost'] });
    expect(report.call).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['refuses', '{"error":"ask for less"}'],
    ['ends the call', null],
  ])('does without figures when the appliance %s', async (_, words) => {
    const result = check({ url: 'ws://h/ws' });
    enter();
    const { measure } = await answered();
    if (words) measure.onmessage?.({ data: words });
    else measure.onclose?.();
    const report = await doubted(result);
    expect(report.ways.direct).toMatchObject({ state: 'works', proof: 'call' });
    expect(report.call).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves at once when somebody is in the room, and without waiting for a call', async () => {
    const result = check({ url: 'ws://h/ws' });
    enter([{ id: 'q', name: 'Bob', polite: true }]);
    expect(FakeSocket.last.sentOf('leave')).toHaveLength(1);
    expect((await doubted(result)).call).toBeUndefined();
    expect(FakeSocket.all.flatMap((socket) => socket.sentOf('offer'))).toEqual([]);
    expect(FakeSocket.all).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves when somebody comes, and the measurement goes on', async () => {
    const result = check({ url: 'ws://h/ws', durationMs: 40 });
    enter();
    const { measure } = await answered();
    FakeSocket.last.receive({ type: 'peer-joined', peer: { id: 'q', name: 'Bob', polite: false } });
    expect(FakeSocket.last.sentOf('leave')).toHaveLength(1);
    measure.onmessage?.({ data: '{"sent":2,"received":2,"rtt_us":4000,"jitter_us":0}' });
    expect((await doubted(result)).call).toMatchObject({ received: 2 });
  });

  it('gives a call up that does not open in time', async () => {
    const result = check({ url: 'ws://h/ws', openTimeoutMs: 1000 });
    enter();
    await vi.advanceTimersByTimeAsync(1000);
    const report = await doubted(result);
    expect(report).toMatchObject({ verdict: 'bad', findings: ['no-media-path'], ways: { direct: { state: 'not-offered' } } });
    expect(vi.getTimerCount()).toBe(0);
  });

  const cut = {
    verdict: 'unfinished',
    findings: ['server-lost'],
    signaling: { state: 'lost', code: 'unreachable' },
    ways: { direct: { state: 'unfinished' } },
  };

  it('says that the server went away while the ways were opened, at once', async () => {
    const result = check({ url: 'ws://h/ws' });
    enter();
    await settle();
    FakeSocket.last.drop();
    expect(await result).toMatchObject(cut);
    expect(FakeSocket.all).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says that the server went away in the measurement, at once', async () => {
    const seen: string[] = [];
    const result = check({ url: 'ws://h/ws', progress: ({ signaling, verdict }) => seen.push(`${signaling.state} ${verdict}`) });
    enter();
    const { measure } = await answered();
    measure.onmessage?.({ data: new ArrayBuffer(160) });
    FakeSocket.last.drop();
    const report = await result;
    expect(report).toMatchObject(cut);
    expect(report.signaling.openedMs).toBeDefined();
    expect(report.call).toBeUndefined();
    expect(seen).toContain('lost running');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['no server', null],
    ['another process', 'two'],
  ])('says so when it had left the room, and finds %s in the end', async (_, server) => {
    const result = check({ url: 'ws://h/ws', durationMs: 40 });
    enter();
    const { measure } = await answered();
    FakeSocket.last.receive({ type: 'peer-joined', peer: { id: 'q', name: 'Bob', polite: false } });
    measure.onmessage?.({ data: '{"sent":3,"received":2,"rtt_us":4000,"jitter_us":0}' });
    const report = await doubted(result, server);
    expect(report).toMatchObject({ ...cut, ways: { direct: { state: 'works' }, udp: { state: 'not-offered' } } });
    expect(report.call).toBeUndefined();
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

  const ended = { verdict: 'unfinished', findings: [], ways: { direct: { state: 'unfinished' } } };

  it('holds nothing against anybody when it is ended on its way in', async () => {
    const ending = new AbortController();
    const result = check({ url: 'ws://h/ws', signal: ending.signal });
    ending.abort();
    expect(await result).toMatchObject({ ...ended, signaling: { state: 'unfinished' } });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['while the ways are opened', async () => settle()],
    ['in the measurement', async () => void (await answered()).measure.onmessage?.({ data: new ArrayBuffer(160) })],
  ])('keeps what is known when it is ended %s', async (_, reach) => {
    const ending = new AbortController();
    const result = check({ url: 'ws://h/ws', signal: ending.signal });
    enter();
    const seat = FakeSocket.last;
    await reach();
    ending.abort();
    const report = await result;
    expect(report).toMatchObject({ ...ended, signaling: { state: 'works' } });
    expect(report.ways.udp.state).toBe('not-offered');
    expect(seat.sentOf('leave')).toHaveLength(1);
    expect(FakeSocket.all).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
