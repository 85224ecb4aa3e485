import { describe, expect, it } from 'vitest';
import type { CheckReport, WayResult } from '../../sdk/src/index.js';
import { fileName, figures, ms } from '../src/texts.js';

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

it('a result is saved under its time', () => {
  const name = fileName({ startedAt: '2026-03-04T05:06:07.890Z' } as CheckReport);
  expect(name).toBe('connection-check-2026-03-04T05-06-07.json');
});
