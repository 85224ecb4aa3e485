import { brand, el } from '../../base/dom.js';
import type { TourbillonError } from '../../sdk/src/index.js';
import { checkLink } from './dom.js';
import { checkURL } from './params.js';

/** How a call ended: "refused" before it began, or later. */
export type Ending = 'left' | 'refused' | 'broken';

const TITLES: Record<Ending, string> = {
  left: 'You left the call',
  refused: 'You cannot join this room',
  broken: 'This call cannot go on',
};

export interface EndActions {
  again(): void;
  home(): void;
}

/** The screen after a call, or instead of one that the server refused. */
export function endScreen(
  room: string,
  ending: Ending,
  error: TourbillonError | undefined,
  actions: EndActions,
): HTMLElement {
  const again = el(
    'button',
    { type: 'button', class: 'primary', 'data-testid': 'rejoin' },
    error ? 'Try again' : 'Rejoin',
  );
  const home = el('button', { type: 'button', class: 'quiet', 'data-testid': 'home' }, 'Choose another room');
  again.addEventListener('click', () => actions.again());
  home.addEventListener('click', () => actions.home());
  const title = el('h1', {}, TITLES[ending]);
  const text = error
    ? errorText(error)
    : el('p', { 'data-testid': 'left' }, `The room “${room}” stays open for the others.`);
  const check = checkLink(checkURL(new URL(location.href), room));
  return el('main', { class: 'sheet' }, el('div', { class: 'card' }, brand(), title, text, again, home, check));
}

function errorText({ code, message, remedy }: TourbillonError): HTMLElement {
  const element = el('p', { role: 'alert', 'data-testid': 'error', 'data-code': code }, sentence(message));
  if (remedy) element.append(' ', el('strong', {}, sentence(remedy)));
  return element;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
