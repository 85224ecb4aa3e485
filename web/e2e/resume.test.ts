import { expect, it } from 'vitest';
import { Bench } from './bench.js';
import { Caller } from './caller.js';
import { PATIENCE_MS, until } from './until.js';

/**
 * The shortest life that the configuration allows, so that the server's own refresh can be waited for, and the longest
 * heartbeat, so that a page that stands still for a while is not away.
 */
const bench = new Bench(['turn.credential_ttl=1m', 'signaling.heartbeat=5s']);
const LIFE_MS = 60_000;
declare global {
  interface Window {
    seen: string[];
    sockets: WebSocket[];
    before: RTCPeerConnection | null | undefined;
  }
}

/** A call whose events are noted on both sides, and whose sockets can be killed. */
async function notedCall(room: string, query: Record<string, string> = {}): Promise<[Caller, Caller]> {
  const callers = [new Caller(await bench.page()), new Caller(await bench.page())] as const;
  for (const [i, caller] of callers.entries()) {
    await caller.page.addInitScript(() => {
      window.sockets = [];
      window.WebSocket = class extends WebSocket {
        constructor(url: string | URL, protocols?: string | string[]) {
          super(url, protocols);
          window.sockets.push(this);
        }
      };
    });
    await caller.join(bench.server, room, { name: `Caller ${i}`, ...query });
  }
  const [ada, bob] = callers;
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  await Promise.all(callers.map(note));
  return [ada, bob];
}

async function note({ page }: Caller): Promise<void> {
  await page.evaluate(() => {
    const { room } = window.tourbillon;
    const seen: string[] = (window.seen = []);
    room?.on('message', ({ data }) => seen.push(`message ${String(data)}`));
    room?.on('peer-left', ({ reason }) => seen.push(`peer-left ${reason}`));
    room?.on('resumed', () => seen.push('resumed'));
    room?.on('restarted', () => seen.push('restarted'));
    room?.on('refreshed', () => seen.push('refreshed'));
    room?.on('error', ({ code }) => seen.push(`error ${code}`));
    for (const peer of room?.peers.values() ?? []) {
      window.before = peer.connection;
      peer.on('away', (away) => seen.push(away ? 'away' : 'back'));
    }
  });
}

const seen = ({ page }: Caller): Promise<string[]> => page.evaluate(() => window.seen);

const keptConnection = ({ page }: Caller): Promise<boolean> =>
  page.evaluate(() => [...(window.tourbillon.room?.peers.values() ?? [])].every((peer) => peer.connection === window.before));

const say = ({ page }: Caller, text: string): Promise<unknown> =>
  page.evaluate((data) => window.tourbillon.room?.message(data), text);

const killSocket = ({ page }: Caller): Promise<void> => page.evaluate(() => window.sockets.at(-1)?.close());

const fragment = ({ page }: Caller): Promise<string | undefined> =>
  page.evaluate(() => /a=ice-ufrag:(\S+)/.exec(window.before?.localDescription?.sdp ?? '')?.[1]);

const username = ({ page }: Caller): Promise<string | undefined> =>
  page.evaluate(() => window.before?.getConfiguration().iceServers?.find((server) => server.username)?.username);

it('resumes over a killed socket: the call goes on, and every message comes once', async () => {
  const [ada, bob] = await notedCall('killed-socket');
  await say(ada, 'before');
  await until('bob hears', async () => (await seen(bob)).includes('message before'));
  await bob.page.evaluate(() => {
    window.sockets.at(-1)?.close();
    window.tourbillon.room?.message('said while away'); // The socket is closing, so this may or may not get out.
  });
  await say(ada, 'one');
  await say(ada, 'two');
  await until('bob is back', async () => (await seen(bob)).includes('resumed'));
  await say(ada, 'three');
  await until('bob hears the rest', async () => (await seen(bob)).includes('message three'));
  await until('ada hears bob', async () => (await seen(ada)).includes('message said while away'));
  const heard = (await seen(bob)).filter((entry) => entry.startsWith('message'));
  expect(heard).toEqual(['message before', 'message one', 'message two', 'message three']);
  expect(await seen(ada)).toEqual(['away', 'back', 'message said while away']);
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  expect([await keptConnection(ada), await keptConnection(bob)]).toEqual([true, true]);
});

it('resumes again and again', async () => {
  const [ada, bob] = await notedCall('again');
  for (let i = 1; i <= 3; i++) {
    await killSocket(bob);
    await say(ada, String(i));
    await until(`resume ${i}`, async () => (await seen(bob)).filter((entry) => entry === 'resumed').length === i);
  }
  await until('bob hears all', async () => (await seen(bob)).includes('message 3'));
  expect((await seen(bob)).filter((entry) => entry.startsWith('message'))).toEqual(['message 1', 'message 2', 'message 3']);
  expect(await keptConnection(bob)).toBe(true);
});

it('comes through a restarted server with its call, and what waited is said', async () => {
  const [ada, bob] = await notedCall('restarted');
  await bench.server.kill();
  await Promise.all([ada.waitForState('reconnecting'), bob.waitForState('reconnecting')]);
  await bench.server.run();
  await Promise.all([ada.waitForState('joined'), bob.waitForState('joined')]);
  await until('both know each other again', async () => (await ada.tiles.count()) === 1 && (await bob.tiles.count()) === 1);
  await say(ada, 'still here');
  await until('bob hears', async () => (await seen(bob)).includes('message still here'));
  for (const caller of [ada, bob]) {
    expect(await seen(caller)).toContain('restarted');
    expect((await seen(caller)).filter((entry) => entry.startsWith('peer-left'))).toEqual([]);
    expect(await keptConnection(caller)).toBe(true);
  }
});

it('restarts ICE when the relay was restarted', async () => {
  const [ada, bob] = await notedCall('relay-restarted', { relay: 'udp' });
  const before = await fragment(ada);
  await bench.server.kill();
  await bench.server.run();
  await until('ICE was restarted', async () => (await fragment(ada)) !== before);
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  expect([await keptConnection(ada), await keptConnection(bob)]).toEqual([true, true]);
  expect(await ada.path()).toMatchObject({ kind: 'relay', transport: 'udp' });
});

it('takes fresh credentials before the old ones run out, and restarts with them', async () => {
  const [ada, bob] = await notedCall('refresh', { relay: 'udp' });
  const [before, ice] = [await username(ada), await fragment(ada)];
  // The server refreshes at 0.8 of the life.
  await until('the server sends fresh ones', async () => (await seen(ada)).includes('refreshed'), LIFE_MS + PATIENCE_MS);
  expect(await username(ada)).not.toBe(before);
  await ada.page.evaluate(() => [...(window.tourbillon.room?.peers.values() ?? [])][0]?.restart());
  await until('ICE was restarted', async () => (await fragment(ada)) !== ice);
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  expect(await keptConnection(ada)).toBe(true);
});
