import type uPlot from 'uplot';
import { clockTime, micros } from './format.js';

export interface Palette {
  injected: string;
  control: string;
  grid: string;
  text: string;
}

/** Reads colours as the style sheet resolves them now, light or dark; a canvas knows no custom properties. */
export function readPalette(host: HTMLElement): Palette {
  const probe = host.appendChild(document.createElement('span'));
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = { injected: read('injected'), control: read('control'), grid: read('line'), text: read('faint') };
  probe.remove();
  return palette;
}

/** Lateness over time, both arms: the band reaches from the median (thick) to the 99th percentile (thin). */
export function chartOptions(
  palette: Palette,
  width: number,
  height: number,
  onHover: (index: number | null) => void,
): uPlot.Options {
  const font = '12px system-ui, sans-serif';
  const axis = { stroke: palette.text, font, ticks: { show: false }, grid: { stroke: palette.grid, width: 1 } };
  return {
    width,
    height,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { distr: 3, log: 10, range: (_, min, max) => decades(min, max) } },
    axes: [
      { ...axis, grid: { show: false }, space: 90, size: 30, values: (_, splits) => splits.map((seconds) => clockTime(seconds * 1000)) },
      {
        ...axis,
        size: 58,
        splits: (_u, _axis, min, max) => powers(min, max),
        filter: (_, splits) => splits,
        values: (_, splits) => splits.map(axisValue),
      },
    ],
    series: [{}, ...arm(palette.injected), ...arm(palette.control)],
    bands: [
      { series: [4, 3], fill: faded(palette.control) },
      { series: [2, 1], fill: faded(palette.injected) },
    ],
    hooks: { setCursor: [(chart) => onHover(chart.cursor.idx ?? null)] },
  };
}

function arm(stroke: string): uPlot.Series[] {
  const points = { show: false };
  return [
    { stroke, width: 2, points },
    { stroke, width: 0.75, points },
  ];
}

/** Whole decades around the values, so that the scale rests while the values move. */
export function decades(min: number | null, max: number | null): [number, number] {
  if (!min || !max) return [10, 10_000];
  const low = Math.floor(Math.log10(min));
  return [10 ** low, 10 ** Math.max(Math.ceil(Math.log10(max)), low + 1)];
}

function powers(min: number, max: number): number[] {
  const values: number[] = [];
  for (let power = Math.round(Math.log10(min)); power <= Math.round(Math.log10(max)); power++) values.push(10 ** power);
  return values;
}

function axisValue(us: number): string {
  return micros(us).replace('.0 ', ' ');
}

function faded(colour: string): string {
  return `color-mix(in srgb, ${colour} 16%, transparent)`;
}
