/** Calls between two browsers in a network that breaks, which the server has healed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Complaints, browserPath, launchInsecure, newPage } from './browser.js';
import { Caller } from './caller.js';
import { ALL_ADDRESSES, Lab } from './lab.js';
import { Server } from './server.js';
import { until } from './until.js';

/** How long nothing passes at all. */
const LOSS_MS = 10_000;

/** What a page did with its connections since it was opened. */
interface Deeds {
  made: number;
  restarts: number;
}

declare global {
  interface Window {
    deeds: Deeds;
  }
}

interface ShownPath {
  state: string;
  route: string;
  restarts: number;
  impolite: { via?: string; transport?: string };
  polite: { via?: string; transport?: string };
  timeline: { state: string; route: string; event?: string; by?: string }[];
}

let lab: Lab;
let server: Server;
let browsers: Browser[] = [];
let complaints = new Complaints();
let admin = '';

beforeAll(async () => {
  lab = await Lab.make();
  const settings = [
    'signaling.open_rooms=true',
    `turn.relay_address=${lab.address}`,
    `turn.allow_peers=[${ALL_ADDRESSES}]`,
    'agents.enabled=false',
  ];
  server = await Server.start(settings, false, lab);
  for (const host of ['ada', 'bob'] as const) {
    browsers.push(await launchInsecure(await lab.starter(host, browserPath()), server.url));
  }
});

afterEach(async () => {
  for (const context of browsers.flatMap((browser) => browser.contexts())) await context.close();
  const { list } = complaints;
  complaints = new Complaints();
  expect(list).toEqual([]);
});

afterAll(async () => {
  await Promise.allSettled([...browsers.map((browser) => browser.close()), server?.stop()]);
  await lab?.remove();
});

/** Ada, who joins first and so is the impolite side, and Bob, with pictures moving on both sides. */
async function call(room: string, query: Record<string, string> = {}): Promise<[Caller, Caller]> {
  const callers: Caller[] = [];
  for (const [i, name] of ['Ada', 'Bob'].entries()) {
    const page = await newPage(browsers[i] as Browser, complaints);
    await page.addInitScript(() => {
      const deeds: Deeds = (window.deeds = { made: 0, restarts: 0 });
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(configuration?: RTCConfiguration) {
          super(configuration);
          deeds.made++;
        }
        override restartIce(): void {
          deeds.restarts++;
          super.restartIce();
        }
      };
    });
    const caller = new Caller(page);
    await caller.join(server, room, { name, ...query });
    callers.push(caller);
  }
  const [ada, bob] = callers as [Caller, Caller];
  await bothSeeMotion(ada, bob);
  await until('the server knows that both are through', async () => (await shown(room)).state === 'connected');
  return [ada, bob];
}

async function bothSeeMotion(...callers: Caller[]): Promise<void> {
  await Promise.all(callers.map((caller) => caller.seesMotion()));
}

/** The path of the call in a room, as the operator is shown it. */
async function shown(room: string): Promise<ShownPath> {
  const url = `${server.adminURL}/api/paths?room=${room}`;
  let answer = await lab.get(url, admin);
  if (answer.status !== 200) {
    const { cookies } = await lab.get(await server.printedLink());
    admin = cookies.map((cookie) => cookie.split(';')[0]).join('; ');
    answer = await lab.get(url, admin);
  }
  const [path, ...more] = JSON.parse(answer.body) as ShownPath[];
  return path && more.length === 0 ? path : Promise.reject(new Error(`not one path: ${answer.body}`));
}

/** Waits until the server's path of the call meets a condition, and returns it. */
async function shownOnce(room: string, what: string, condition: (path: ShownPath) => boolean): Promise<ShownPath> {
  let path: ShownPath | undefined;
  const met = async (): Promise<ShownPath | null> => ((path = await shown(room)), condition(path) ? path : null);
  return until(what, met).catch((error: Error) => Promise.reject(new Error(`${error.message}: ${JSON.stringify(path)}`)));
}

const deeds = ({ page }: Caller): Promise<Deeds> => page.evaluate(() => window.deeds);

/** The call has lived through it: with the connections that it began with, and with restarts of the impolite side only. */
async function healed(room: string, ada: Caller, bob: Caller): Promise<ShownPath> {
  const path = await shownOnce(room, 'the server sees the call healed', ({ state }) => state === 'connected');
  console.log(JSON.stringify(path), await deeds(ada), await deeds(bob), await ada.path(), await bob.path());
  const restarted = path.timeline.filter(({ event }) => event === 'self-restarted' || event === 'offered');
  expect(restarted.map(({ by }) => by)).toEqual(restarted.map(() => 'impolite'));
  expect(path.timeline.map(({ state }) => state)).not.toContain('failed');
  expect(await deeds(bob)).toEqual({ made: 1, restarts: 0 });
  expect((await deeds(ada)).made).toBe(1);
  return path;
}

it.each([{}, { relay: 'udp' }])('comes through ten seconds of total loss: %o', async (query) => {
  const room = `loss-${Object.values(query).join() || 'direct'}`;
  const [ada, bob] = await call(room, query);
  const mend = await lab.cut();
  await pause(LOSS_MS);
  await mend();
  await Promise.all([ada.waitForState('joined'), bob.waitForState('joined')]);
  await bothSeeMotion(ada, bob);
  const path = await healed(room, ada, bob);
  expect((await deeds(ada)).restarts).toBe(path.restarts);
});

it('comes through a relay that is killed and started anew', async () => {
  const [ada, bob] = await call('relay-killed', { relay: 'udp' });
  await server.kill();
  await server.run();
  await bothSeeMotion(ada, bob);
  const path = await healed('relay-killed', ada, bob);
  expect(path.restarts).toBe(1);
  expect(await deeds(ada)).toEqual({ made: 1, restarts: 1 });
  for (const caller of [ada, bob]) expect(await caller.path()).toMatchObject({ kind: 'relay', transport: 'udp' });
});

it('goes on through the relay by TCP where UDP is cut off', async () => {
  const [ada, bob] = await call('no-udp');
  expect(await ada.path()).toMatchObject({ kind: 'direct' });
  const mend = await lab.cut('ipproto', 'udp');
  await until('ada sends by TCP', async () => (await ada.path())?.transport === 'tcp');
  await bothSeeMotion(ada, bob);
  await healed('no-udp', ada, bob);
  await mend();
});

it('has the server try one route after the other until one leads through', async () => {
  const [ada, bob] = await call('escalation');
  const relayByTCP = ['ipproto', 'tcp', 'dport', String(server.turnPort)];
  const [mendUDP, mendTCP] = [await lab.cut('ipproto', 'udp'), await lab.cut(...relayByTCP)];
  await shownOnce('escalation', 'the relay is tried by UDP', ({ route }) => route === 'relay/udp');
  await mendTCP();
  await bothSeeMotion(ada, bob);
  const path = await healed('escalation', ada, bob);
  expect(path.route).toBe('relay/tcp');
  for (const caller of [ada, bob]) expect(await caller.path()).toMatchObject({ kind: 'relay', transport: 'tcp' });
  await mendUDP();
});
