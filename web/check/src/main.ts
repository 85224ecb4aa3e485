/**
 * The pre-call test page. Address: ?room=…#token=… as of an invitation; without a room it is the token's, or one that is
 * made up. ?seconds=… for a longer series, ?open=… for the seconds that a way may take to open, where the network is slow.
 */
import { readParams } from '../../call/src/params.js';
import { type CheckReport, check } from '../../sdk/src/index.js';
import { roomOf } from './room-of.js';
import { fileName } from './texts.js';
import { pageView } from './view.js';

const SECONDS = 10;
const OPEN_SECONDS = 12;
const MAX_SECONDS = 60;
/** What opening the ways takes beside the series, at most times. */
const OPENING_MS = 2000;
/** Where a way is blocked it takes longer: the last part of the bar is passed ever more slowly. */
const LAST_PART = 0.1;
const SLOW_MS = 8000;
const PROGRESS_MS = 100;

let report: CheckReport | null = null;

const view = pageView({
  again: () => void run(),
  copy: () => navigator.clipboard.writeText(json()).then(
    () => true,
    () => false,
  ),
  save: () => save(json()),
});
document.getElementById('app')?.replaceChildren(view.element);

function json(): string {
  return JSON.stringify(report, null, 2);
}

function save(text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = report ? fileName(report) : 'connection-check.json';
  link.click();
  URL.revokeObjectURL(link.href);
}

async function run(): Promise<void> {
  const page = new URL(location.href);
  const { room: named, token } = readParams(page);
  const room = named || roomOf(token ?? '');
  const durationMs = seconds(page.searchParams.get('seconds'), SECONDS) * 1000;
  const openTimeoutMs = seconds(page.searchParams.get('open'), OPEN_SECONDS) * 1000;
  const start = performance.now();
  const timer = setInterval(() => {
    view.progress(progress(performance.now() - start, durationMs + OPENING_MS));
  }, PROGRESS_MS);
  view.progress(0);
  try {
    report = await check({
      durationMs,
      openTimeoutMs,
      ...(room && { room }),
      ...(token && { token }),
      progress: (sofar) => view.show(sofar),
    });
  } finally {
    clearInterval(timer);
  }
}

/** The share of the bar after so many milliseconds of a check that usually takes usual ones. */
function progress(ms: number, usual: number): number {
  if (ms < usual) return (1 - LAST_PART) * (ms / usual);
  return 1 - LAST_PART * Math.exp((usual - ms) / SLOW_MS);
}

/** Anything but a number within bounds is the default. */
function seconds(text: string | null, normal: number): number {
  const value = Number(text);
  return value >= 1 && value <= MAX_SECONDS ? value : normal;
}

void run();
