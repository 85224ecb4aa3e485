/** The elements that the call page has more than one of. */
import { el } from '../../base/dom.js';

const SVG = 'http://www.w3.org/2000/svg';

/** Outline icons on a 24 grid; the stroke takes the text's colour. */
const ICONS = {
  mic: ['M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z', 'M5.5 11.5a6.5 6.5 0 0 0 13 0', 'M12 18v3'],
  camera: ['M4 7h9a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H4a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 4 7Z', 'm15 11 6-3v8l-6-3'],
  chat: ['M4 5h16v11H9l-5 4V5Z'],
  leave: [
    'M2.5 14.5c0-7.5 19-7.5 19 0 0 1.3-.8 1.9-2 1.7l-2.3-.4c-.9-.2-1.4-.8-1.4-1.7v-1.7c-2.5-.8-5.1-.8-7.6 0v1.7c0 .9-.5 1.5-1.4 1.7l-2.3.4c-1.2.2-2-.4-2-1.7Z',
  ],
  link: ['M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1', 'M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1'],
  send: ['M4 12 20 4l-5 16-3.5-6.5L4 12Z'],
  close: ['M6 6l12 12', 'M18 6 6 18'],
};

export type Icon = keyof typeof ICONS;

export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

/** A button with an icon and a label for those who cannot see it. */
export function iconButton(name: Icon, label: string, testId: string): HTMLButtonElement {
  return el(
    'button',
    { type: 'button', class: 'round', 'aria-label': label, title: label, 'data-testid': testId },
    icon(name),
  );
}

/** Leads those for whom a call does not work to the page that says why. */
export function checkLink(address: URL): HTMLAnchorElement {
  return el('a', { class: 'check-link', href: address.href, 'data-testid': 'check-link' }, 'Check your connection');
}
