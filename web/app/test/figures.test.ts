import { describe, expect, it } from 'vitest';
import { decades } from '../src/chart-options.js';
import { compare, median, ratioText } from '../src/compare.js';
import { bytes, count, duration, micros, roundTrip } from '../src/format.js';
import { History } from '../src/history.js';
import type { Sample } from '../src/stream-types.js';

function sample(at_ms: number, injected = 40, control = 520): Sample {
  const lateness = (us: number) => ({ fires: us > 0 ? 50 : 0, p50_us: us, p99_us: us * 2, max_us: us * 3 });
  return { at_ms, injected: lateness(injected), control: lateness(control) };
}

describe('formats', () => {
  it.each([
    [null, '–'],
    [0, '0 µs'],
    [4.25, '4.3 µs'],
    [42.4, '42 µs'],
    [999.4, '999 µs'],
    [999.6, '1.0 ms'],
    [12_345, '12 ms'],
    [2_500_000, '2.5 s'],
  ])('%s µs is %s', (us, text) => expect(micros(us)).toBe(text));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1234, '1.2 kB'],
    [9_123_456, '9.1 MB'],
    [12e9, '12 GB'],
  ])('%d bytes are %s', (value, text) => expect(bytes(value)).toBe(text));

  it.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [125_000, '2 min'],
    [7_500_000, '2 h 5 min'],
    [90_000_000, '1 d 1 h'],
  ])('%d ms last %s', (ms, text) => expect(duration(ms)).toBe(text));

  it('groups counts, and shows no round trip before one is measured', () => {
    expect(count(1234567)).toBe('1,234,567');
    expect(roundTrip(0)).toBe('–');
    expect(roundTrip(412)).toBe('412 µs');
  });
});

describe('the comparison', () => {
  it('takes the median of what there is', () => {
    expect(median([])).toBeNull();
    expect(median([null, 3])).toBe(3);
    expect(median([5, null, 1, 3])).toBe(3);
    expect(median([1, 2, 3, 4])).toBe(2.5);
  });

  it('is of the medians of the window', () => {
    const history = new History();
    expect(compare(history.columns)).toBeNull();
    history.reset([sample(1000), sample(1500, 20, 520), sample(2000, 9000, 520)], 500);
    expect(compare(history.columns)).toEqual({ injected: 40, control: 520, ratio: 13 });
  });

  it.each([
    [13.2, '13×', 'nearer the deadline'],
    [2.25, '2.3×', 'nearer the deadline'],
    [1.02, '1×', 'as near the deadline as package time'],
    [0.5, '2.0×', 'further from the deadline'],
  ])('says %d in words', (ratio, figure, words) => expect(ratioText(ratio)).toEqual({ figure, words }));
});

describe('the history', () => {
  it('holds two minutes and no repeated sample', () => {
    const history = new History();
    for (let at = 0; at <= 300_000; at += 500) history.push(sample(at));
    history.push(sample(300_000));
    expect(history.columns.t).toHaveLength(241);
    expect(history.columns.t[0]).toBe(180);
    expect(history.columns.controlP99).toHaveLength(241);
  });

  it('draws nothing where nothing fired, and a hole where samples are missing', () => {
    const history = new History();
    history.reset([sample(500, 0), sample(1000), sample(9000)], 500);
    expect(history.columns.injectedP50).toEqual([null, 40, null, 40]);
    expect(history.columns.controlP50).toEqual([520, 520, null, 520]);
  });

  it('forgets the past when the server says another', () => {
    const history = new History();
    history.reset([sample(5000)], 500);
    history.reset([sample(1000)], 500);
    expect(history.columns.t).toEqual([1]);
  });
});

describe('the scale', () => {
  it('shows whole decades, and some before there is a value', () => {
    expect(decades(42, 1300)).toEqual([10, 10_000]);
    expect(decades(100, 100)).toEqual([100, 1000]);
    expect(decades(null, null)).toEqual([10, 10_000]);
  });
});
