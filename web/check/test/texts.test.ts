import { describe, expect, it } from 'vitest';
import type { CallResult, CheckReport, Way, WayResult } from '../../sdk/src/index.js';
import { advice, feel, feelNote, fileName, figures, headline, ms, proofText, rowNote, stateText } from '../src/texts.js';

describe('figures', () => {
  const series = { sent: 500, received: 499, lossShare: 0.002, reordered: 0, rttMs: { min: 1, median: 9.26, p95: 40 }, jitterMs: 1 };

  it.each<[WayResult, [string, string][]]>([
    [{ state: 'waiting' }, []],
    [{ state: 'running', openedMs: 12 }, []],
    [{ state: 'works', openedMs: 12.4 }, [['Opened in', '12 ms']]],
    [{ state: 'works', series }, [['Round trip', '9.3 ms'], ['Jitter', '1.0 ms'], ['Loss', '0.2 %']]],
    [
      { state: 'fails', series: { ...series, lossShare: 1, rttMs: null, jitterMs: null } },
      [['Round trip', '–'], ['Jitter', '–'], ['Loss', '100.0 %']],
    ],
    [{ state: 'works', series: { ...series, lossShare: 0.0004 } }, [['Round trip', '9.3 ms'], ['Jitter', '1.0 ms'], ['Loss', '<0.1 %']]],
  ])('of %j', (result, expected) => expect(figures(result)).toEqual(expected));

  it('have one digit where it matters', () => expect([ms(1.26), ms(126.4)]).toEqual(['1.3 ms', '126 ms']));
});

describe('what a call would feel like', () => {
  const call = (met: Partial<CallResult>): CallResult => ({
    way: 'direct', sent: 500, received: 500, lossShare: 0, reordered: 0, rttMs: 12.3, jitterMs: 1.2, ...met,
  });

  it.each<[Partial<CallResult>, [string, string, boolean][]]>([
    [{}, [['12 ms', 'Nobody notices a delay.', false], ['1.2 ms', 'Packets arrive evenly.', false], ['0 %', 'Nothing gets lost.', false]]],
    [
      { rttMs: 150, jitterMs: 30, lossShare: 0.02 },
      [
        ['150 ms', 'A delay that few people notice.', false],
        ['30 ms', 'A little uneven, which is not heard.', false],
        ['2.0 %', 'Too little gets lost to be heard.', false],
      ],
    ],
    [
      { rttMs: 400, jitterMs: 31, lossShare: 0.5 },
      [
        ['400 ms', 'People will talk over each other.', true],
        ['31 ms', 'Uneven: sound may stutter.', true],
        ['50.0 %', 'Words may go missing.', true],
      ],
    ],
    [
      { rttMs: null, jitterMs: null, lossShare: 1 },
      [['–', 'Not known.', false], ['–', 'Not known.', false], ['100.0 %', 'Words may go missing.', true]],
    ],
  ])('after %j', (met, expected) => {
    expect(feel(call(met)).map(({ figure, words, bad }) => [figure, words, bad])).toEqual(expected);
  });

  it('says on which way', () => expect(feelNote(call({ way: 'tcp' }))).toMatch(/^Relay over TCP: 500 packets/));
});

describe('the note of a way', () => {
  it.each<[Way, WayResult, RegExp]>([
    ['tls', { state: 'not-offered' }, /only web traffic.*tls\.cert/],
    ['tcp', { state: 'not-offered' }, /stop UDP.*turn\.tcp/],
    ['udp', { state: 'not-offered' }, /stutter.*turn\.udp/],
    ['direct', { state: 'not-offered' }, /STUN.*turn\.udp/],
    ['udp', { state: 'fails', reason: 'no answer' }, /^no answer$/],
    ['udp', { state: 'works' }, /^$/],
  ])('%s, %j', (way, result, expected) => expect(rowNote(way, result)).toMatch(expected));

  it('says when the direct way has the lesser proof', () => {
    expect(proofText({ state: 'works', proof: 'call' })).toBe('Straight to the server');
    expect(proofText({ state: 'works', proof: 'stun' })).toContain('no call');
  });
});

describe('a connection to the server that broke off', () => {
  it('is laid to neither end, with what to do for both, and no Wi-Fi is blamed', () => {
    const { what, remedy } = advice('server-lost');
    expect(headline('unfinished').title).not.toMatch(/will/);
    expect(what).toBe('The connection to the server broke off in the middle of the check.');
    expect(remedy).toMatch(/network here: check again.*check again.*whoever runs this server/);
    expect(`${what} ${remedy}`).not.toContain('Wi-Fi');
    expect([stateText('lost'), stateText('unfinished')]).toEqual(['Lost', 'Not finished']);
  });
});

it('a way that is closed may be closed at the server', () => {
  expect(advice('no-media-path').remedy).toContain('or tell whoever runs this server');
});

it('a result is saved under its time', () => {
  const name = fileName({ startedAt: '2026-03-04T05:06:07.890Z' } as CheckReport);
  expect(name).toBe('connection-check-2026-03-04T05-06-07.json');
});
