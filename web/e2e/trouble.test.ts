import { expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';
import { Caller } from './caller.js';
import { until } from './until.js';

const bench = new Bench();

const HEARTBEAT_MS = 1000;
const MISSED_BEATS = 3;
/** One beat until the silence is noticed as missed at all, and time for the messages themselves. */
const MARGIN_MS = HEARTBEAT_MS + 500;

/** Joins by hand, answers two pings, and falls silent with its socket open. Resolves at the last answer. */
function joinAndFallSilent(page: Page, url: string, room: string): Promise<void> {
  return page.evaluate(
    ([address, name]) =>
      new Promise<void>((resolve) => {
        const socket = new WebSocket(address as string, 'tourbillon.v1');
        let answers = 0;
        socket.onopen = () => socket.send(JSON.stringify({ type: 'join', room: name, name: 'Silent' }));
        socket.onmessage = ({ data }) => {
          const message = JSON.parse(data as string) as { type: string; seq: number };
          if (message.type !== 'ping' || answers >= 2) return;
          socket.send(JSON.stringify({ type: 'pong', seq: message.seq }));
          if (++answers === 2) resolve();
        };
      }),
    [url, room],
  );
}

it('drops a silent client after three heartbeats', async () => {
  const ada = new Caller(await bench.page());
  await ada.join(bench.server, 'silence', { name: 'Ada' });
  const page = await bench.page();
  await page.goto(`${bench.server.url}/call/`);
  await joinAndFallSilent(page, bench.server.wsURL, 'silence');
  const start = performance.now();
  await ada.tiles.waitFor({ timeout: 1000 });
  await ada.tiles.waitFor({ state: 'detached', timeout: 15_000 });
  const took = performance.now() - start;
  expect(took).toBeGreaterThan((MISSED_BEATS - 1) * HEARTBEAT_MS);
  expect(took).toBeLessThan(MISSED_BEATS * HEARTBEAT_MS + MARGIN_MS);
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
