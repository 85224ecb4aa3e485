import { brand, el } from '../../base/dom.js';
import { checkLink } from './dom.js';
import { checkURL } from './params.js';

/** The form that asks which room to enter, and as whom. */
export function lobby(name: string, onSubmit: (room: string, name: string) => void): HTMLElement {
  const roomInput = field('room', 'Room', 'demo', true);
  const nameInput = field('name', 'Your name', 'Ada', false);
  nameInput.input.value = name;
  const form = el(
    'form',
    { class: 'card', 'data-testid': 'lobby' },
    brand(),
    el('h1', {}, 'Start or join a call'),
    el('p', {}, 'Everyone who opens the same room meets there.'),
    roomInput.label,
    nameInput.label,
    el('button', { type: 'submit', class: 'primary', 'data-testid': 'join' }, 'Join'),
    checkLink(checkURL(new URL(location.href))),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const room = roomInput.input.value.trim();
    if (room) onSubmit(room, nameInput.input.value.trim());
  });
  return el('main', { class: 'sheet' }, form);
}

function field(
  id: string,
  text: string,
  placeholder: string,
  required: boolean,
): { label: HTMLElement; input: HTMLInputElement } {
  const input = el('input', {
    id,
    name: id,
    type: 'text',
    placeholder,
    required,
    autocomplete: id === 'name' ? 'nickname' : 'off',
  });
  return { label: el('label', { for: id }, el('span', {}, text), input), input };
}
