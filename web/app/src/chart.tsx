import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { chartOptions, readPalette } from './chart-options.js';
import { type Columns, WINDOW_MS } from './history.js';

interface Props {
  columns: Columns;
  /** Changes whenever the columns did. */
  revision: number;
  onHover(index: number | null): void;
}

const HEIGHT = 300;
const NARROW_HEIGHT = 240;

/** The live chart. The columns are drawn as they are, without a copy. */
export function Chart({ columns, revision, onHover }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const build = (): void => {
      chart.current?.destroy();
      const height = element.clientWidth < 500 ? NARROW_HEIGHT : HEIGHT;
      chart.current = new uPlot(
        chartOptions(readPalette(element), element.clientWidth, height, onHover),
        undefined,
        element,
      );
      draw(chart.current, columns);
    };
    return rebuildOnChange(element, build, () => chart.current?.destroy());
  }, []);

  useEffect(() => {
    if (chart.current) draw(chart.current, columns);
  }, [revision]);

  return (
    <div
      class="chart"
      ref={host}
      data-testid="chart"
      role="img"
      aria-label="Timer lateness of both clocks over the last two minutes"
    />
  );
}

function draw(chart: uPlot, { t, injectedP50, injectedP99, controlP50, controlP99 }: Columns): void {
  const end = t.at(-1);
  if (end === undefined) return;
  chart.batch(() => {
    chart.setData([t, injectedP50, injectedP99, controlP50, controlP99], false);
    chart.setScale('x', { min: end - WINDOW_MS / 1000, max: end });
  });
}

/** Builds now, and again when the width or the colour scheme is another one. */
function rebuildOnChange(element: HTMLElement, build: () => void, destroy: () => void): () => void {
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    build();
  });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  observer.observe(element);
  scheme.addEventListener('change', build);
  return () => {
    observer.disconnect();
    scheme.removeEventListener('change', build);
    destroy();
  };
}
