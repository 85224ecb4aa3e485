import { brand, el } from '../../base/dom.js';
import { type Peer, type Room, TourbillonError } from '../../sdk/src/index.js';
import { chatPanel } from './chat.js';
import { controlBar } from './controls.js';
import { inviteButton } from './invite.js';
import type { LocalMedia } from './media.js';
import { noticeBar } from './notice.js';
import { inviteURL } from './params.js';
import { statusLine } from './status.js';
import { type Tile, localTile, remoteTile } from './tile.js';

/** From this width on there is room for the chat beside the pictures. */
const WIDE = '(min-width: 900px)';

/** The screen of a running call. onEnd is called once, when the call is over; the error says why unless the user left. */
export function callScreen(room: Room, media: LocalMedia, onEnd: (error?: TourbillonError) => void): HTMLElement {
  const notice = noticeBar(media.notice);
  const local = localTile(media.stream);
  const stage = peerStage(room, local, notice.askForSound);
  const chatOpen = matchMedia(WIDE).matches;
  const controls = controlBar(media.stream, chatOpen, {
    muted: (on) => local.element.classList.toggle('muted', on),
    cameraOff: (on) => local.element.classList.toggle('camera-off', on),
    chat: (open) => screen.classList.toggle('chat-open', open),
    leave: () => room.leave(),
  });
  const header = el(
    'header',
    { class: 'top' },
    brand(),
    el('h1', { 'data-testid': 'room-name' }, room.name),
    statusLine(room),
    inviteButton(inviteURL(new URL(location.href), room.name).href),
  );
  const chat = chatPanel(room, controls.markUnread);
  const screen = el('div', { class: 'call' }, header, notice.element, stage.element, chat, controls.element);
  screen.classList.toggle('chat-open', chatOpen);
  watchEnd(room, notice.show, (error) => {
    stage.close();
    onEnd(error);
  });
  return screen;
}

function watchEnd(room: Room, show: (text: string) => void, onEnd: (error?: TourbillonError) => void): void {
  let ended = false;
  room.on('error', (error) => {
    if (room.state !== 'left') return show(sentence(error));
    if (!ended) onEnd(error);
    ended = true;
  });
  room.on('state', (state) => {
    if (state !== 'left') return;
    // The error that ended the room, if one did, follows in the same turn.
    queueMicrotask(() => {
      if (!ended) onEnd();
      ended = true;
    });
  });
}

function sentence({ message, remedy }: TourbillonError): string {
  return remedy ? `${message}: ${remedy}` : message;
}

interface Stage {
  readonly element: HTMLElement;
  close(): void;
}

function peerStage(room: Room, local: Tile, onBlocked: (play: () => void) => void): Stage {
  const tiles = new Map<string, Tile>();
  const grid = el('div', { class: 'tiles', 'data-testid': 'tiles' });
  const alone = el('p', { class: 'alone', 'data-testid': 'alone' }, 'Nobody else is here yet. Send the invite link.');
  const element = el('section', { class: 'stage', 'aria-label': 'Participants' }, grid, local.element, alone);
  const count = (): void => {
    grid.dataset['count'] = String(Math.min(tiles.size, 9));
    element.classList.toggle('is-alone', tiles.size === 0);
  };
  const playAll = (): void => tiles.forEach(({ video }) => void video.play());
  const remove = (id: string): void => {
    tiles.get(id)?.close();
    tiles.delete(id);
    count();
  };
  count();
  room.on('peer', (peer: Peer) => {
    const tile = remoteTile(peer, () => onBlocked(playAll));
    tiles.set(peer.id, tile);
    grid.append(tile.element);
    count();
  });
  room.on('peer-left', ({ peer }) => remove(peer.id));
  return {
    element,
    close() {
      for (const id of [...tiles.keys()]) remove(id);
      local.close();
    },
  };
}
