import { el } from '../../base/dom.js';
import type { Room } from '../../sdk/src/index.js';
import { icon } from './dom.js';

const MAX_LINES = 500;

/** The chat panel. onLine is called for every line of another participant. */
export function chatPanel(room: Room, onLine: () => void): HTMLElement {
  const log = el('ol', { id: 'chat-log', role: 'log', 'aria-label': 'Chat messages', 'data-testid': 'chat-log' });
  const empty = el('p', { class: 'chat-empty' }, 'Messages go straight to the others and are kept nowhere.');
  const add = (author: string, text: string, own: boolean): void => {
    empty.remove();
    log.append(line(author, text, own));
    while (log.children.length > MAX_LINES) log.firstElementChild?.remove();
    log.scrollTop = log.scrollHeight;
  };
  room.on('chat', ({ peer, text }) => {
    add(peer.name || 'Guest', text, false);
    onLine();
  });
  const form = chatForm((text) => {
    room.send(text);
    add('You', text, true);
  });
  return el('aside', { id: 'chat', class: 'chat', 'aria-label': 'Chat' }, el('h2', {}, 'Chat'), empty, log, form);
}

function chatForm(onText: (text: string) => void): HTMLFormElement {
  const input = el('input', {
    id: 'chat-input',
    type: 'text',
    autocomplete: 'off',
    maxlength: '2000',
    placeholder: 'Write a message',
    'aria-label': 'Message',
    'data-testid': 'chat-input',
  });
  const button = el('button', { type: 'submit', class: 'send', 'aria-label': 'Send', title: 'Send' }, icon('send'));
  const form = el('form', { class: 'chat-form' }, input, button);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) onText(text);
    input.value = '';
  });
  return form;
}

function line(author: string, text: string, own: boolean): HTMLElement {
  const item = el('li', {}, el('span', { class: 'author' }, author), el('span', { class: 'text' }, text));
  item.classList.toggle('own', own);
  return item;
}
