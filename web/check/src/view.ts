import { brand, el } from '../../base/dom.js';
import { WAYS } from '../../sdk/src/check/report.js';
import type { CheckReport, Way, WayResult } from '../../sdk/src/index.js';
import { type Feel, type Row, WAY_NAMES, advice, feel, feelNote, figures, headline, proofText, rowNote, stateText } from './texts.js';

export interface Actions {
  again(): void;
  copy(): Promise<boolean>;
  save(): void;
}

export interface View {
  readonly element: HTMLElement;
  show(report: CheckReport): void;
  /** How far the check is, from 0 to 1. */
  progress(share: number): void;
}

/** The whole page. It is built once and changed in place, so that a screen reader hears what changed only. */
export function pageView(actions: Actions): View {
  const verdict = verdictCard();
  const feeling = feelPanel();
  const rows = el('ul', { class: 'ways', 'data-testid': 'ways' });
  const measured = el('p', { class: 'note' });
  const buttons = buttonRow(actions);
  const ways = el('section', { class: 'panel', 'aria-labelledby': 'ways-title' }, el('h2', { id: 'ways-title' }, 'Ways to the server'));
  ways.append(rows, measured);
  const element = el(
    'main',
    { class: 'page' },
    el('header', { class: 'top' }, brand(), el('h1', {}, 'Connection check')),
    verdict.element,
    feeling.element,
    ways,
    buttons.element,
  );
  return {
    element,
    show(report) {
      verdict.show(report);
      feeling.show(report);
      measured.textContent = report.measured;
      rows.replaceChildren(serverRow(report), ...WAYS.map((way) => wayRow(way, report.ways[way])));
      buttons.enable(report.verdict !== 'running');
    },
    progress: verdict.progress,
  };
}

function verdictCard(): Pick<View, 'element' | 'show' | 'progress'> {
  const title = el('p', { class: 'headline', 'data-testid': 'headline' });
  const text = el('p', { class: 'faint' });
  const bar = el('progress', { max: '1', 'aria-label': 'Progress of the check' });
  const list = el('ul', { class: 'findings', 'data-testid': 'findings' });
  const spoken = el('div', { role: 'status' }, title, text, list);
  const element = el('section', { class: 'panel verdict', 'data-testid': 'verdict', 'aria-label': 'Result' }, spoken, bar);
  let shown = '';
  return {
    element,
    show({ verdict, findings }) {
      const next = [verdict, ...findings].join(' ');
      if (next === shown) return;
      shown = next;
      element.dataset['verdict'] = verdict;
      bar.hidden = verdict !== 'running';
      const words = headline(verdict);
      [title.textContent, text.textContent] = [words.title, words.text];
      list.hidden = findings.length === 0;
      list.replaceChildren(...findings.map(findingItem));
    },
    progress: (share) => (bar.value = share),
  };
}

function findingItem(finding: Parameters<typeof advice>[0]): HTMLElement {
  const { what, remedy } = advice(finding);
  return el('li', { 'data-finding': finding }, el('strong', {}, what), ` ${remedy}`);
}

/** What a call would feel like: three figures with what they mean. It keeps its place while the check runs. */
function feelPanel(): Pick<View, 'element' | 'show'> {
  const note = el('p', { class: 'faint' });
  const list = el('dl', { class: 'feel' });
  const title = el('h2', { id: 'feel-title' }, 'What a call would feel like');
  const header = el('header', {}, title, note);
  const element = el('section', { class: 'panel', 'aria-labelledby': 'feel-title', 'data-testid': 'feel' }, header, list);
  return {
    element,
    show({ call, verdict }) {
      element.hidden = !call && verdict !== 'running';
      note.textContent = call ? feelNote(call) : 'Measured on the best way to the server.';
      list.replaceChildren(...(call ? feel(call) : WAITING).map(feelItem));
    },
  };
}

const WAITING: Feel[] = ['Round trip', 'Jitter', 'Loss'].map((name) => ({ name, figure: '–', words: '', bad: false }));

function feelItem({ name, figure, words, bad }: Feel): HTMLElement {
  const value = el('dd', bad ? { class: 'bad' } : {}, figure);
  return el('div', {}, el('dt', {}, name), value, el('dd', { class: 'faint' }, words));
}

function serverRow({ server, signaling }: CheckReport): HTMLElement {
  const { state, openedMs, reason } = signaling;
  const result: Row = { state: state === 'waiting' ? 'running' : state };
  if (openedMs !== undefined) result.openedMs = openedMs;
  return row('server', 'Server', server, result, reason ?? '');
}

function wayRow(way: Way, result: WayResult): HTMLElement {
  const { title, text } = WAY_NAMES[way];
  return row(way, title, way === 'direct' ? proofText(result) : text, result, rowNote(way, result));
}

function row(id: string, title: string, text: string, result: Row, note: string): HTMLElement {
  const name = el('div', { class: 'name' }, el('h3', {}, title), el('p', { class: 'faint' }, text));
  const state = el('span', { class: 'state' }, stateText(result.state));
  const item = el('li', { class: 'way', 'data-testid': `way-${id}`, 'data-state': result.state }, name, state);
  const numbers = figures(result);
  if (numbers.length > 0) item.append(figureList(numbers));
  if (note) item.append(el('p', { class: 'reason' }, note));
  return item;
}

function figureList(numbers: [string, string][]): HTMLElement {
  const pairs = numbers.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)));
  return el('dl', { class: 'figures' }, ...pairs);
}

/** How long the button confirms the copy. */
const CONFIRM_MS = 2000;
const COPY = 'Copy result';

function buttonRow(actions: Actions): { element: HTMLElement; enable(on: boolean): void } {
  const button = (name: string, text: string, kind: string): HTMLButtonElement =>
    el('button', { type: 'button', class: kind, 'data-testid': name }, text);
  const again = button('again', 'Check again', 'primary');
  const copy = button('copy', COPY, 'quiet');
  const save = button('save', 'Download result', 'quiet');
  again.addEventListener('click', () => actions.again());
  save.addEventListener('click', () => actions.save());
  copy.addEventListener('click', async () => {
    copy.textContent = (await actions.copy()) ? 'Copied' : 'Not allowed here: download it';
    setTimeout(() => (copy.textContent = COPY), CONFIRM_MS);
  });
  const element = el('div', { class: 'buttons' }, again, copy, save);
  return {
    element,
    enable(on) {
      for (const each of [again, copy, save]) each.disabled = !on;
    },
  };
}
