import { el } from '../../base/dom.js';
import type { Room, RoomState } from '../../sdk/src/index.js';

/** How long a piece of news stays in the status line. */
const NEWS_MS = 8000;

const TEXTS: Record<RoomState, string> = {
  connecting: 'Connecting',
  joined: 'Connected',
  reconnecting: 'Server lost, reconnecting. The call goes on.',
  left: 'Left',
};

/** The line that says how this page and the server stand. */
export function statusLine(room: Room): HTMLElement {
  const element = el('p', { class: 'status', role: 'status', 'data-testid': 'status' });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = (): void => {
    clearTimeout(timer);
    element.dataset['state'] = room.state;
    element.textContent = TEXTS[room.state];
  };
  room.on('state', show);
  room.on('restarted', () => {
    element.textContent = 'The server was restarted. You are back.';
    timer = setTimeout(show, NEWS_MS);
  });
  show();
  return element;
}
