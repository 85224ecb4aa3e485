import type { Columns } from './history.js';

export interface Comparison {
  /** Medians of the shown window in microseconds. */
  injected: number;
  control: number;
  /** How many times nearer its deadline the injected clock fires. */
  ratio: number;
}

export function median(values: readonly (number | null)[]): number | null {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2;
}

/** Compares both arms over the window; null while one of them has no value. */
export function compare({ injectedP50, controlP50 }: Columns): Comparison | null {
  const injected = median(injectedP50);
  const control = median(controlP50);
  return injected === null || control === null ? null : { injected, control, ratio: control / injected };
}

/** A difference below five percent is none. */
const EVEN = 1.05;

export function ratioText(ratio: number): { figure: string; words: string } {
  if (ratio >= EVEN) return { figure: `${times(ratio)}×`, words: 'nearer the deadline' };
  if (ratio > 1 / EVEN) return { figure: '1×', words: 'as near the deadline as package time' };
  return { figure: `${times(1 / ratio)}×`, words: 'further from the deadline' };
}

function times(ratio: number): string {
  return ratio >= 10 ? String(Math.round(ratio)) : ratio.toFixed(1);
}
