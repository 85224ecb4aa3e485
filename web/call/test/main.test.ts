import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type Room, TourbillonError, join } from '../../sdk/src/index.js';
import { type LocalMedia, openMedia } from '../src/media.js';

vi.mock('../src/media.js');
vi.mock('../src/call-screen.js', () => ({ callScreen: () => document.createElement('article') }));
vi.mock('../../sdk/src/index.js', async (original) => ({ ...(await original<object>()), join: vi.fn() }));

const stop = vi.fn();
const leave = vi.fn();
const media = { stream: { getTracks: () => [{ stop }] } } as unknown as LocalMedia;
const room = { leave } as unknown as Room;

interface Pending<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function pending<T>(): Pending<T> {
  let settle!: Omit<Pending<T>, 'promise'>;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle };
}

let opened: Pending<LocalMedia>;
let joined: Pending<Room>;
const shown = (selector: string): boolean => document.querySelector(selector) !== null;
/** Lets what was settled be noticed. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

beforeAll(async () => {
  document.body.innerHTML = '<div id="app"></div>';
  await import('../src/main.js');
});

/** Into a room: the camera and then the server are asked for it. */
beforeEach(async () => {
  [opened, joined] = [pending(), pending()];
  for (const spy of [stop, leave]) spy.mockClear();
  vi.mocked(openMedia).mockReturnValue(opened.promise);
  vi.mocked(join).mockReset().mockReturnValue(joined.promise);
  window.tourbillon.room = null;
  await goTo('?room=demo');
  expect(document.querySelector('[data-testid=status]')?.textContent).toBe('Connecting');
});

/** As the browser's buttons do. */
async function goTo(query: string): Promise<void> {
  history.replaceState(null, '', location.pathname + query);
  window.dispatchEvent(new PopStateEvent('popstate'));
  await settle();
}

async function goBack(): Promise<void> {
  await goTo('');
  expect(shown('[data-testid=lobby]')).toBe(true);
}

function expectLobby(): void {
  expect(shown('[data-testid=lobby]')).toBe(true);
  expect(stop).toHaveBeenCalled();
  expect(window.tourbillon.room).toBeNull();
}

it('shows the call when it is joined', async () => {
  opened.resolve(media);
  joined.resolve(room);
  await settle();
  expect(shown('article')).toBe(true);
  expect(window.tourbillon.room).toBe(room);
  expect(stop).not.toHaveBeenCalled();
});

it('goes back while the camera is asked for, and asks no server then', async () => {
  await goBack();
  opened.resolve(media);
  await settle();
  expectLobby();
  expect(join).not.toHaveBeenCalled();
});

it('goes back while the server is asked, with the camera off at once, and leaves a room that opens later', async () => {
  opened.resolve(media);
  await settle();
  await goBack();
  expect(stop).toHaveBeenCalled();
  joined.resolve(room);
  await settle();
  expectLobby();
  expect(leave).toHaveBeenCalledOnce();
});

it('does not say of a call that was given up that it was refused', async () => {
  opened.resolve(media);
  await settle();
  await goBack();
  joined.reject(new TourbillonError('bad-token', 'expired'));
  await settle();
  expectLobby();
});
