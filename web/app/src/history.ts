import type { Lateness, Sample } from './stream-types.js';

/** What the chart shows. */
export const WINDOW_MS = 120_000;
/** A hole of more than this many periods is drawn as a hole. */
const HOLE_PERIODS = 4;

type Column = (number | null)[];

/** Aligned columns: seconds since 1970, then lateness in microseconds, null where nothing fired. */
export interface Columns {
  t: number[];
  injectedP50: Column;
  injectedP99: Column;
  controlP50: Column;
  controlP99: Column;
}

/** The newest samples, as columns. */
export class History {
  readonly columns: Columns = empty();
  private periodMs = 500;

  reset(samples: readonly Sample[], periodMs: number): void {
    Object.assign(this.columns, empty());
    this.periodMs = periodMs;
    for (const sample of samples) this.push(sample);
  }

  push(sample: Sample): void {
    const last = this.columns.t.at(-1);
    const t = sample.at_ms / 1000;
    if (last !== undefined && t <= last) return;
    if (last !== undefined && sample.at_ms - last * 1000 > HOLE_PERIODS * this.periodMs)
      this.append(last + 0.001, null, null);
    this.append(t, sample.injected, sample.control);
    this.trim(t - WINDOW_MS / 1000);
  }

  private append(t: number, injected: Lateness | null, control: Lateness | null): void {
    const { columns } = this;
    columns.t.push(t);
    columns.injectedP50.push(value(injected, 'p50_us'));
    columns.injectedP99.push(value(injected, 'p99_us'));
    columns.controlP50.push(value(control, 'p50_us'));
    columns.controlP99.push(value(control, 'p99_us'));
  }

  private trim(oldest: number): void {
    const old = this.columns.t.findIndex((t) => t >= oldest);
    if (old <= 0) return;
    for (const column of Object.values(this.columns)) column.splice(0, old);
  }
}

/** A logarithmic scale has no place for zero, and nothing is that punctual. */
function value(lateness: Lateness | null, field: 'p50_us' | 'p99_us'): number | null {
  return lateness && lateness.fires > 0 ? Math.max(lateness[field], 0.1) : null;
}

function empty(): Columns {
  return { t: [], injectedP50: [], injectedP99: [], controlP50: [], controlP99: [] };
}
