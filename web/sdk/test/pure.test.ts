import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backoffDelay } from '../src/backoff.js';
import { BeatWatch } from '../src/beat.js';
import { type ClientErrorCode, TourbillonError, endsRoom } from '../src/errors.js';
import { areStale, relayTransport, rtcConfiguration } from '../src/ice-servers.js';
import { nextDelay, startMetronome } from '../src/metronome.js';
import {
  ignoresOffer,
  isNeededWhenConnected,
  isOtherConnection,
  repairAction,
  repairDelay,
} from '../src/negotiation.js';
import { readPath } from '../src/path.js';
import { parseMessage } from '../src/protocol.js';

describe('backoffDelay', () => {
  it('starts between 100 and 250 ms, doubles, and stays under 3 s', () => {
    expect(backoffDelay(0, 0)).toBe(100);
    expect(backoffDelay(0, 0.999)).toBeLessThan(250);
    expect(backoffDelay(2, 0)).toBe(400);
    expect(backoffDelay(50, 0.999)).toBeLessThanOrEqual(3000);
  });
});

describe('BeatWatch', () => {
  const run = (watch: BeatWatch, from: number, to: number): boolean => {
    for (let now = from; now <= to; now += watch.tickMs) if (watch.tick(now)) return true;
    return false;
  };

  it('gives up after three missed beats and the tolerance', () => {
    const watch = new BeatWatch(1000, 500, 0);
    expect(run(watch, 0, 3500)).toBe(false);
    expect(watch.tick(3501)).toBe(true);
  });

  it('lives on while beats come', () => {
    const watch = new BeatWatch(1000, 0, 0);
    expect(run(watch, 0, 2900)).toBe(false);
    watch.heard(2900);
    expect(run(watch, 3000, 5800)).toBe(false);
  });

  it('forgives the silence of a page that stood still itself, once', () => {
    const watch = new BeatWatch(1000, 0, 0);
    expect(watch.tick(60_000)).toBe(false);
    expect(run(watch, 60_000, 64_000)).toBe(true);
  });
});

describe('metronome', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('takes back a share of the drift, and never goes under 10 ms', () => {
    expect(nextDelay(250, 0)).toBe(250);
    expect(nextDelay(250, 20)).toBe(244);
    expect(nextDelay(250, -20)).toBe(256);
    expect(nextDelay(20, 1000)).toBe(10);
  });

  it('keeps its grid and ends when told', () => {
    const beat = vi.fn();
    const stop = startMetronome(100, beat);
    vi.advanceTimersByTime(1000);
    expect(beat).toHaveBeenCalledTimes(10);
    stop();
    vi.advanceTimersByTime(1000);
    expect(beat).toHaveBeenCalledTimes(10);
  });

  it('does not replay what a stall swallowed', () => {
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const beat = vi.fn();
    const stop = startMetronome(100, beat);
    clock.mockReturnValue(5000);
    vi.advanceTimersByTime(100);
    clock.mockReturnValue(5100);
    vi.advanceTimersByTime(99);
    // One beat ends the stall, the next comes a whole period later, on the new grid.
    expect(beat).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(100);
    expect(beat).toHaveBeenCalledTimes(2);
    stop();
  });
});

describe('ICE servers', () => {
  const servers = [
    { urls: ['stun:h:3478', 'turn:h:3478?transport=udp', 'turn:h:3478?transport=tcp'], username: 'u', credential: 'c' },
    { urls: 'turns:h:5349?transport=tcp', username: 'u', credential: 'c' },
  ];

  it.each([
    ['stun:h', null],
    ['turn:h', 'udp'],
    ['turn:h:3478?transport=udp', 'udp'],
    ['turn:[::1]:3478?transport=tcp', 'tcp'],
    ['turns:h', 'tls'],
    ['turns:h?transport=tcp', 'tls'],
    ['https://h', null],
  ])('%s goes over %s', (url, transport) => expect(relayTransport(url)).toBe(transport));

  it('keeps everything when no relay is forced', () => {
    const { iceServers, iceTransportPolicy } = rtcConfiguration(servers);
    expect(iceServers).toEqual(servers);
    expect(iceTransportPolicy).toBeUndefined();
  });

  it.each([
    ['udp', 'turn:h:3478?transport=udp'],
    ['tcp', 'turn:h:3478?transport=tcp'],
    ['tls', 'turns:h:5349?transport=tcp'],
  ] as const)('keeps only the relay over %s', (relay, url) => {
    const expected = [{ urls: [url], username: 'u', credential: 'c' }];
    expect(rtcConfiguration(servers, relay)).toEqual({ iceServers: expected, iceTransportPolicy: 'relay' });
  });

  it('are stale after half their life', () => {
    expect(areStale(1000, 600, 1300)).toBe(false);
    expect(areStale(1000, 600, 1301)).toBe(true);
    expect(areStale(0, Infinity, 1e12)).toBe(false);
  });
});

describe('negotiation', () => {
  it.each([
    { polite: false, makingOffer: true, signalingState: 'stable', ignored: true },
    { polite: false, makingOffer: false, signalingState: 'have-local-offer', ignored: true },
    { polite: false, makingOffer: false, signalingState: 'stable', ignored: false },
    { polite: true, makingOffer: true, signalingState: 'have-local-offer', ignored: false },
  ] as const)('$signalingState, polite $polite, making $makingOffer: ignored $ignored', ({ ignored, ...situation }) => {
    expect(ignoresOffer(situation)).toBe(ignored);
  });

  it('knows another connection by the session of its description', () => {
    const sdp = (session: string, version: number): string =>
      `v=0\r\no=- ${session} ${version} IN IP4 127.0.0.1\r\ns=-\r\n`;
    expect(isOtherConnection(undefined, sdp('1', 2))).toBe(false);
    expect(isOtherConnection(sdp('1', 2), sdp('1', 3))).toBe(false);
    expect(isOtherConnection(sdp('1', 2), sdp('2', 2))).toBe(true);
  });

  it('lets the polite side wait three seconds more', () => {
    expect(repairDelay('failed', false)).toBe(0);
    expect(repairDelay('failed', true)).toBe(3000);
    expect(repairDelay('disconnected', false)).toBe(4000);
    expect(repairDelay('dead-path', true)).toBe(3000);
  });

  it('restarts a connected path only when that path is dead or the network is new', () => {
    expect(isNeededWhenConnected('dead-path', true)).toBe(true);
    expect(isNeededWhenConnected('online', false)).toBe(true);
    expect(isNeededWhenConnected('online', true)).toBe(false);
    expect(isNeededWhenConnected('stalled', false)).toBe(false);
  });

  it('restarts first, repeats an unanswered offer, and builds anew when that did not help', () => {
    expect(repairAction('stable', 0)).toBe('restart');
    expect(repairAction('have-local-offer', 1)).toBe('resend');
    expect(repairAction('stable', 2)).toBe('rebuild');
    expect(repairAction('closed', 0)).toBe('rebuild');
  });
});

describe('readPath', () => {
  const report = (local: object, remote: object): [string, unknown][] => [
    ['T', { id: 'T', type: 'transport', selectedCandidatePairId: 'P' }],
    [
      'P',
      { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R', currentRoundTripTime: 0.0125 },
    ],
    ['L', { id: 'L', type: 'local-candidate', ...local }],
    ['R', { id: 'R', type: 'remote-candidate', ...remote }],
  ];

  it('tells a direct path from relayed ones', () => {
    expect(readPath(report({ candidateType: 'host' }, { candidateType: 'srflx' }))).toEqual({
      kind: 'direct',
      rttMs: 12.5,
    });
    const ours = report({ candidateType: 'relay', relayProtocol: 'tcp' }, { candidateType: 'host' });
    expect(readPath(ours)).toMatchObject({ kind: 'relay', transport: 'tcp' });
    expect(readPath(report({ candidateType: 'host' }, { candidateType: 'relay' }))).toEqual({
      kind: 'relay',
      rttMs: 12.5,
    });
  });

  it('takes the nominated pair where no transport is reported, and null where there is none', () => {
    const pair = { id: 'P', type: 'candidate-pair', nominated: true, state: 'succeeded', localCandidateId: 'L' };
    expect(readPath([['P', pair]])).toEqual({ kind: 'direct' });
    expect(readPath([])).toBeNull();
  });
});

describe('messages and errors', () => {
  it.each(['', 'x', '[]', '1', 'null', '{"a":1}'])('ignores %j', (text) => expect(parseMessage(text)).toBeNull());
  it('ignores binary frames', () => expect(parseMessage(new ArrayBuffer(2))).toBeNull());

  it('ends the room on what would not change', () => {
    expect(endsRoom('bad-token', false)).toBe(true);
    expect(endsRoom('bad-message', true)).toBe(true);
    expect(endsRoom('bad-message', false)).toBe(false);
    expect(endsRoom('rate-limited', true)).toBe(false);
    expect(endsRoom('not-joined', true)).toBe(false); // The connection was ending already.
  });

  it('leaves to pages what is theirs', () => {
    // @ts-expect-error A page's own code is none of the client's, but any text is a code.
    const code: ClientErrorCode = 'page';
    expect(new TourbillonError(code, 'broken').code).toBe('page');
  });
});
