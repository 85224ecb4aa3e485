/** The npm package peerjs, as published, in a real browser against our server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PeerOptions } from 'peerjs';
import { Bench } from './bench.js';
import { PeerPages, PeerUser } from './peerjs-page.js';
import { until } from './until.js';

const bench = new Bench();

/** How long the server keeps a message for one who is not there. */
const KEPT_MS = 5000;

let pages: PeerPages;

beforeAll(async () => {
  pages = await PeerPages.serve();
});
afterAll(() => pages.close());

async function user(id?: string, options?: PeerOptions): Promise<PeerUser> {
  return PeerUser.open(await bench.page(), pages.url, bench.server.url, id, options);
}

it('issues ids and opens a data connection', async () => {
  const ada = await user();
  const bob = await user('bob');
  const id = await ada.opened();
  expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(await bob.opened()).toBe('bob');
  expect(await ada.asks('bob', 'hello')).toBe('echo of hello');
  expect(await bob.asks(id, 'hello back')).toBe('echo of hello back');
});

it('opens a media connection with moving pictures on both sides', async () => {
  const ada = await user('ada-calls');
  const bob = await user('bob-answers');
  await Promise.all([ada.opened(), bob.opened()]);
  await ada.calls('bob-answers');
  for (const side of [ada, bob]) await until('frames are decoded', async () => (await side.frames()) > 10);
});

it('keeps a message for one who comes a moment later', async () => {
  const ada = await user('early');
  await ada.opened();
  // A message is kept for five seconds, so the other page is there already and only its Peer is late: anew, if by more.
  for (let attempt = 1; ; attempt++) {
    const page = await bench.page();
    await page.goto(pages.url);
    const asked = performance.now();
    const answer = ada.asks(`late-${attempt}`, 'are you there?');
    answer.catch(() => undefined); // One that expired ends with its page.
    const bob = await PeerUser.on(page, bench.server.url, `late-${attempt}`);
    await bob.opened();
    if (performance.now() - asked >= KEPT_MS) continue;
    expect(await answer).toBe('echo of are you there?');
    return;
  }
});

it('says when nobody comes', async () => {
  const ada = await user('lonely');
  await ada.opened();
  void ada.asks('nobody', 'hello?').catch(() => undefined); // Ends with its page.
  await ada.fails('peer-unavailable');
});

it('refuses an id that is taken, and a wrong key', async () => {
  await (await user('taken')).opened();
  await (await user('taken')).fails('unavailable-id');
  await (await user('stranger', { key: 'wrong' })).fails('server-error');
});

it('gives the id back after reconnect(), and to a second socket with the same token', async () => {
  const ada = await user('comes-back', { token: 'proof' });
  await ada.opened();
  await ada.page.evaluate(() => window.peer.disconnect());
  await ada.disconnected();
  expect(await ada.reconnects()).toBe('comes-back');
  const again = await user('comes-back', { token: 'proof' });
  expect(await again.opened()).toBe('comes-back');
  await ada.disconnected();
});

it('is reconnected after the server was killed, and the open connection does not notice', async () => {
  const ada = await user('ada-restart');
  const bob = await user('bob-restart');
  await Promise.all([ada.opened(), bob.opened()]);
  expect(await ada.asks('bob-restart', 'before')).toBe('echo of before');
  await bench.server.kill();
  await Promise.all([ada.disconnected(), bob.disconnected()]);
  expect(await ada.says('while it is away')).toBe('echo of while it is away');
  await bench.server.run();
  expect(await ada.reconnects()).toBe('ada-restart');
  expect(await bob.reconnects()).toBe('bob-restart');
  expect(await bob.asks('ada-restart', 'after')).toBe('echo of after');
});

it('reaches the other through our relay with the ICE servers from /peerjs/ice', async () => {
  const answer = await fetch(`${bench.server.url}/peerjs/ice`);
  const { iceServers } = (await answer.json()) as { iceServers: RTCIceServer[] };
  const config = { iceServers, iceTransportPolicy: 'relay' };
  const ada = await user('ada-relay', { config });
  const bob = await user('bob-relay', { config });
  await Promise.all([ada.opened(), bob.opened()]);
  expect(await ada.asks('bob-relay', 'through the relay')).toBe('echo of through the relay');
  expect(await ada.path()).toBe('relay');
});

it('is not for pages of foreign origins', async () => {
  const page = await bench.page();
  await page.route('http://foreign.example/**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.goto('http://foreign.example/');
  const refused = await page.evaluate(
    (url) =>
      new Promise<boolean>((resolve) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/peerjs?key=peerjs&id=eve&token=x`);
        socket.onopen = () => resolve(false);
        socket.onerror = () => resolve(true);
      }),
    bench.server.url,
  );
  expect(refused).toBe(true);
});
