import { expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';
import { Caller, noteGuests } from './caller.js';
import { until } from './until.js';

const bench = new Bench();

const MISSED_BEATS = 3;

/** What a client that fell silent went through. */
interface Silence {
  /** The pings to which the server had no answer. */
  unanswered: number;
  code: number;
  reason: string;
}

/** Joins by hand, answers two pings, and falls silent with its socket open. Resolves when the server has ended it. */
function joinAndFallSilent(page: Page, url: string, room: string): Promise<Silence> {
  return page.evaluate(
    ([address, name]) =>
      new Promise<Silence>((resolve) => {
        const socket = new WebSocket(address as string, 'tourbillon.v1');
        let pings = 0;
        let taken = 0;
        socket.onopen = () => socket.send(JSON.stringify({ type: 'join', room: name, name: 'Silent' }));
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data as string) as { type: string; seq: number };
          if (message.type === 'error') taken++; // What the server does not know, it answers when it has the pong before it.
          if (message.type !== 'ping' || ++pings > 2) return;
          socket.send(JSON.stringify({ type: 'pong', seq: message.seq }));
          socket.send('{"type":"sing"}');
        };
        socket.onclose = ({ code, reason }) => resolve({ unanswered: pings - taken, code, reason });
      }),
    [url, room],
  );
}

it('drops a silent client when three heartbeats were missed, not sooner', async () => {
  const ada = new Caller(await bench.page());
  await ada.join(bench.server, 'silence', { name: 'Ada' });
  const seen = await noteGuests(ada.page);
  const page = await bench.page();
  await page.goto(`${bench.server.url}/call/`);
  const { unanswered, ...close } = await joinAndFallSilent(page, bench.server.wsURL, 'silence');
  expect(close).toEqual({ code: 1008, reason: 'timeout' });
  expect(unanswered).toBeGreaterThanOrEqual(MISSED_BEATS);
  await ada.tiles.waitFor({ state: 'detached' });
  expect(await seen()).toEqual(['came Silent', 'went Silent timeout']);
});

it('comes back as the same peer when its socket broke', async () => {
  const ada = new Caller(await bench.page());
  await ada.join(bench.server, 'broken', { name: 'Ada' });
  const bob = new Caller(await bench.page());
  await bob.page.addInitScript(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (this: WebSocket, data: string) {
      window.addEventListener('break-socket', () => this.close(), { once: true });
      WebSocket.prototype.send = send;
      send.call(this, data);
    };
  });
  await bob.join(bench.server, 'broken', { name: 'Bob' });
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  const before = await ada.tiles.getAttribute('data-peer');
  await bob.page.evaluate(() => window.dispatchEvent(new Event('break-socket')));
  await bob.waitForState('reconnecting');
  await bob.waitForState('joined');
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  expect(await ada.tiles.getAttribute('data-peer')).toBe(before);
});

it.each([
  ['too long', 'x'.repeat(300)],
  ['not a name', 'a/../b\u0007'],
])('says why a room name is refused: %s', async (_, room) => {
  const page = await bench.page();
  await page.goto(bench.server.callURL(room));
  const error = page.getByTestId('error');
  await error.waitFor();
  expect(await error.getAttribute('data-code')).toBe('bad-room');
  expect((await error.textContent())?.length).toBeGreaterThan(10);
  await screenshot(page, 'call-refused');
});

it('shows the answer to a message that the server does not know', async () => {
  const page = await bench.page();
  await page.addInitScript(() => {
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (this: WebSocket, data: string) {
      send.call(this, data);
      if (data.includes('"join"')) send.call(this, '{"type":"sing"}');
    };
  });
  await new Caller(page).join(bench.server, 'sing');
  const notice = page.getByTestId('notice-text');
  await until('the notice names the type', async () => (await notice.textContent())?.includes('sing'));
});
