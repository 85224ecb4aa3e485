import { useState } from 'preact/hooks';
import { Chart } from './chart.js';
import { compare, ratioText } from './compare.js';
import { clockTime, micros } from './format.js';
import type { Columns } from './history.js';

interface Props {
  clock: string;
  columns: Columns;
  revision: number;
}

/** The chart with its headline, the ratio of both arms, and its legend. */
export function LatenessPanel({ clock, columns, revision }: Props) {
  const [hover, setHover] = useState<number | null>(null);
  const index = hover !== null && hover < columns.t.length ? hover : columns.t.length - 1;
  return (
    <section class="panel hero">
      <header>
        <div>
          <h2>Timer lateness</h2>
          <p class="note">How late a reference timer fires after its deadline. Lower is better.</p>
        </div>
        <Ratio columns={columns} clock={clock} />
      </header>
      <Chart columns={columns} revision={revision} onHover={setHover} />
      <div class="legend" data-testid="legend">
        <LegendItem arm="injected" name={clock} p50={columns.injectedP50[index]} p99={columns.injectedP99[index]} />
        <LegendItem arm="control" name="package time" p50={columns.controlP50[index]} p99={columns.controlP99[index]} />
        <p class="note">
          {hover === null ? 'Now' : clockTime((columns.t[index] ?? 0) * 1000)}
        </p>
      </div>
    </section>
  );
}

function Ratio({ columns, clock }: { columns: Columns; clock: string }) {
  const comparison = compare(columns);
  if (!comparison) return <p class="note">Waiting for the first timers.</p>;
  const { figure, words } = ratioText(comparison.ratio);
  return (
    <p class="ratio" data-testid="ratio">
      <strong>{figure}</strong>
      <span>
        {words}
        <small>
          median {micros(comparison.injected)} on {clock}, {micros(comparison.control)} on package time
        </small>
      </span>
    </p>
  );
}

interface LegendProps {
  arm: 'injected' | 'control';
  name: string;
  p50: number | null | undefined;
  p99: number | null | undefined;
}

function LegendItem({ arm, name, p50, p99 }: LegendProps) {
  return (
    <dl class={`arm ${arm}`}>
      <dt>{name}</dt>
      <dd>
        <span>p50</span> {micros(p50)}
      </dd>
      <dd>
        <span>p99</span> {micros(p99)}
      </dd>
    </dl>
  );
}
