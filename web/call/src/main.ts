/**
 * The call page. For tests and for looking at a live call from the console it exposes
 *
 *     window.tourbillon.room    the SDK's Room of the running call, null before and after one
 */
import { el } from '../../base/dom.js';
import { type Room, TourbillonError, join } from '../../sdk/src/index.js';
import { callScreen } from './call-screen.js';
import { type Ending, endScreen } from './end-screen.js';
import { lobby } from './lobby.js';
import { type LocalMedia, openMedia } from './media.js';
import { callURL, readParams } from './params.js';

declare global {
  interface Window {
    tourbillon: { room: Room | null };
  }
}

const NAME_KEY = 'tourbillon.name';

window.tourbillon = { room: null };

function show(screen: HTMLElement): void {
  document.getElementById('app')?.replaceChildren(screen);
}

function showLobby(): void {
  document.title = 'Tourbillon call';
  show(
    lobby(localStorage.getItem(NAME_KEY) ?? '', (room, name) => {
      localStorage.setItem(NAME_KEY, name);
      history.pushState(null, '', callURL(new URL(location.href), room, name));
      void enter();
    }),
  );
}

/** Aborted when the page turns to something else: what it was about to show by then is not wanted any more. */
let turn = new AbortController();

function turnPage(): AbortSignal {
  turn.abort();
  turn = new AbortController();
  return turn.signal;
}

/** Joins the room that the address names. */
async function enter(): Promise<void> {
  const gone = turnPage();
  const params = readParams(new URL(location.href));
  document.title = `${params.room} · Tourbillon`;
  show(el('main', { class: 'sheet' }, el('p', { role: 'status', 'data-testid': 'status' }, 'Connecting')));
  const media = await openMedia();
  if (gone.aborted) return stopMedia(media);
  gone.addEventListener('abort', () => stopMedia(media)); // Not only when the server has answered.
  try {
    const room = await join({ ...params, ...(media.stream ? { media: media.stream } : {}) });
    if (gone.aborted) return room.leave();
    window.tourbillon.room = room;
    show(callScreen(room, media, (error) => showEnd(params.room, media, error ? 'broken' : 'left', error)));
  } catch (error) {
    if (!gone.aborted) showEnd(params.room, media, 'refused', asError(error));
  }
}

function stopMedia({ stream }: LocalMedia): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function showEnd(room: string, media: LocalMedia, ending: Ending, error?: TourbillonError): void {
  window.tourbillon.room = null;
  stopMedia(media);
  show(
    endScreen(room, ending, error, {
      again: () => void enter(),
      home() {
        history.pushState(null, '', location.pathname + location.hash);
        showLobby();
      },
    }),
  );
}

function asError(error: unknown): TourbillonError {
  return error instanceof TourbillonError ? error : new TourbillonError('page', String(error));
}

function start(): void {
  if (readParams(new URL(location.href)).room) void enter();
  else showLobby();
}

window.addEventListener('popstate', () => {
  turnPage();
  window.tourbillon.room?.leave();
  start();
});
start();
