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
  await Promise.allSettled(browsers.map((browser) => browser.close()));
  try {
    await server?.stop();
  } finally {
    await lab?.remove();
  }
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

/** What a page gathers with since its latest restart: the policy, the transports to relays, the types of candidates. */
function gathering({ page }: Caller): Promise<{ policy: string | undefined; transports: string[]; types: string[] }> {
  return page.evaluate(() => {
    const connection = [...(window.tourbillon.room?.peers.values() ?? [])][0]?.connection;
    const { iceServers = [], iceTransportPolicy } = connection?.getConfiguration() ?? {};
    const unique = (values: (string | undefined)[]): string[] => [...new Set(values.map(String))];
    return {
      policy: iceTransportPolicy,
      transports: unique(iceServers.flatMap(({ urls }) => urls).map((url) => /transport=(\w+)$/.exec(url)?.[1])),
      types: unique([...(connection?.localDescription?.sdp ?? '').matchAll(/^a=candidate:.* typ (\w+)/gm)].map(([, type]) => type)),
    };
  });
}

/**
 * The call has lived through it with the connections that it began with: of the two sides one alone restarted, and as
 * often as the server asked for it.
 */
async function healed(room: string, ada: Caller, bob: Caller): Promise<ShownPath> {
  const path = await shownOnce(room, 'the server sees the call healed', ({ state }) => state === 'connected');
  const [adas, bobs] = [await deeds(ada), await deeds(bob)];
  const story = JSON.stringify({ path, adas, bobs });
  expect([adas.made, bobs.made], story).toEqual([1, 1]);
  expect([adas.restarts, bobs.restarts].sort(), story).toEqual([0, path.restarts].sort());
  const restarted = path.timeline.filter(({ event }) => event === 'self-restarted' || event === 'offered');
  expect(restarted.map(({ by }) => by), story).toEqual(Array(path.restarts).fill('impolite'));
  expect(path.timeline.map(({ state }) => state), story).not.toContain('failed');
  return path;
}

it.each<Record<string, string>>([{}, { relay: 'udp' }])('comes through ten seconds of total loss: %o', async (query) => {
  const room = `loss-${Object.values(query).join() || 'direct'}`;
  const [ada, bob] = await call(room, query);
  const mend = await lab.cut();
  const over = pause(LOSS_MS);
  await Promise.all([ada.waitForState('reconnecting'), bob.waitForState('reconnecting')]);
  const frames = [await ada.frames(), await bob.frames()];
  await over;
  expect([await ada.frames(), await bob.frames()]).toEqual(frames);
  await mend();
  await Promise.all([ada.waitForState('joined'), bob.waitForState('joined')]);
  await bothSeeMotion(ada, bob);
  await healed(room, ada, bob);
});

it('comes through a relay that is killed and started anew', async () => {
  const [ada, bob] = await call('relay-killed', { relay: 'udp' });
  await server.kill();
  await server.run();
  await bothSeeMotion(ada, bob);
  const path = await healed('relay-killed', ada, bob);
  expect(path.restarts).toBe(1);
  for (const caller of [ada, bob]) expect(await caller.path()).toMatchObject({ kind: 'relay', transport: 'udp' });
});

it('goes on through the relay by TCP where UDP is cut off', async () => {
  const [ada, bob] = await call('no-udp');
  expect(await ada.path()).toMatchObject({ kind: 'direct' });
  const mend = await lab.cut('ipproto', 'udp');
  await until('ada sends by TCP', async () => (await ada.path())?.transport === 'tcp');
  await bothSeeMotion(ada, bob);
  await healed('no-udp', ada, bob);
  await shownOnce('no-udp', 'both have told of it', ({ impolite, polite }) =>
    [impolite, polite].every(({ via, transport }) => via === 'relay' && transport === 'tcp'),
  );
  await mend();
});

it('has the server try one route after the other until one leads through', async () => {
  const [ada, bob] = await call('escalation');
  const relayByTCP = ['ipproto', 'tcp', 'dport', String(server.turnPort)];
  const [mendUDP, mendTCP] = [await lab.cut('ipproto', 'udp'), await lab.cut(...relayByTCP)];
  await shownOnce('escalation', 'the relay is tried by TCP', ({ route }) => route === 'relay/tcp');
  await mendTCP();
  await bothSeeMotion(ada, bob);
  const path = await healed('escalation', ada, bob);
  const tried = path.timeline.filter(({ event }) => event === 'self-restarted');
  expect(tried.map(({ route }) => route)).toEqual(['direct', 'relay/udp', 'relay/tcp']);
  expect(await gathering(ada)).toEqual({ policy: 'relay', transports: ['tcp'], types: ['relay'] });
  for (const caller of [ada, bob]) expect(await caller.path()).toMatchObject({ kind: 'relay', transport: 'tcp' });
  await mendUDP();
});
