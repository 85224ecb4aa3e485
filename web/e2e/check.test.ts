import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Locator, Page } from 'playwright-core';
import type { CheckReport, Way } from '../sdk/src/index.js';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';
import { Caller, noteGuests } from './caller.js';

/** A port that nobody listens on; the discard service is long gone. */
const DEAD_PORT = '9';
/** A short series, and time for a loaded machine to open the ways. */
const QUERY = 'seconds=2&open=20';

/**
 * Closes ways as a firewall would: what the page would send to the relay addresses that match goes where nobody is, and
 * where UDP is closed, what it would send straight to the server in a call does, too.
 */
async function block(page: Page, pattern: string, udp = true): Promise<void> {
  await page.addInitScript(
    ([source, dead, direct]) => {
      const parse = JSON.parse;
      const blocked = new RegExp(source as string);
      const redirect = (url: string): string => (blocked.test(url) ? url.replace(/:\d+(?=\?|$)/, `:${dead}`) : url);
      JSON.parse = (text, reviver) => {
        const value = parse(text, reviver) as { ice_servers?: { urls: string[] }[] };
        for (const server of value?.ice_servers ?? []) server.urls = server.urls.map(redirect);
        return value;
      };
      if (!direct) return;
      const { setRemoteDescription } = RTCPeerConnection.prototype;
      RTCPeerConnection.prototype.setRemoteDescription = function (
        this: RTCPeerConnection,
        { type, sdp = '' }: RTCSessionDescriptionInit,
      ): Promise<void> {
        const relayed = this.getConfiguration().iceTransportPolicy === 'relay';
        const closed = sdp.replace(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+/gm, `$1 ${dead}`);
        return Reflect.apply(setRemoteDescription, this, [{ type, sdp: relayed ? sdp : closed }]) as Promise<void>;
      };
      const { send } = WebSocket.prototype;
      WebSocket.prototype.send = function (this: WebSocket, data: string): void {
        if (!data.includes('candidate') || data.includes('typ relay')) send.call(this, data);
      };
    },
    [pattern, DEAD_PORT, udp] as const,
  );
}

async function run(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/check/?${QUERY}`);
  return finish(page);
}

async function finish(page: Page): Promise<string> {
  const verdict = page.locator('[data-testid=verdict]:not([data-verdict=running])');
  await verdict.waitFor();
  return (await verdict.getAttribute('data-verdict')) as string;
}

async function resultOf(page: Page): Promise<CheckReport> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('save').click()]);
  expect(download.suggestedFilename()).toMatch(/^connection-check-.*\.json$/);
  const text = await readFile(await download.path(), 'utf8');
  expect(text).not.toContain('candidate');
  return JSON.parse(text) as CheckReport;
}

const WAYS = ['direct', 'udp', 'tcp', 'tls'] as const;

const state = (page: Page, way: Way | 'server'): Promise<string | null> =>
  page.getByTestId(`way-${way}`).getAttribute('data-state');

/** The states of direct, udp, tcp and tls. */
const states = (page: Page): Promise<(string | null)[]> => Promise.all(WAYS.map((way) => state(page, way)));

const findings = (page: Page): Promise<(string | null)[]> =>
  page.locator('[data-finding]').evaluateAll((items) => items.map((item) => item.getAttribute('data-finding')));

/** Findings on how well a way works: on a busy machine they come and go. */
const QUALITY = new Set<string | null>(['slow', 'jittery', 'lossy']);
const withoutQuality = (list: (string | null)[]): (string | null)[] => list.filter((finding) => !QUALITY.has(finding));

/** All ways that are offered work, and the verdict says what was found of their quality. */
async function expectReady(page: Page, verdict: string): Promise<void> {
  const found = await findings(page);
  expect(withoutQuality(found), await page.getByTestId('ways').innerText()).toEqual([]);
  expect(verdict).toBe(found.length === 0 ? 'good' : 'partly');
}

describe('the check page', () => {
  const bench = new Bench();

  it('says that all is well, and hands its result out as JSON', async () => {
    const page = await bench.page();
    await page.goto(`${bench.server.url}/check/?${QUERY}`);
    await page.locator('[data-testid=way-udp][data-state=running]').waitFor();
    await screenshot(page, 'check-running', true);
    await expectReady(page, await finish(page));
    expect(await state(page, 'server')).toBe('works');
    expect(await states(page)).toEqual(['works', 'works', 'works', 'not-offered']);
    await screenshot(page, 'check-good', true);
    const report = await resultOf(page);
    expect(report).toMatchObject({ version: 1, findings: await findings(page), ways: { direct: { proof: 'call' } } });
    expect(report.ways.udp.series?.received).toBeGreaterThan(0);
    expect(report.call).toMatchObject({ way: 'direct', sent: 100 });
    expect(report.call?.received).toBeGreaterThan(0);
    expect(report.call?.rttMs).toBeGreaterThan(0);
  });

  it('says in plain words what the lack of TLS means, and what to do about it', async () => {
    const page = await bench.page();
    await run(page, bench.server.url);
    const words = await page.getByTestId('way-tls').textContent();
    expect(words).toContain('calls will not work in networks that let only web traffic out');
    expect(words).toContain('tls.cert');
    expect(await page.getByTestId('feel').textContent()).toMatch(/^What a call would feel like.*UDP, direct: 100 packets/);
  });

  it('names a closed UDP and what to do, and takes the TCP relay', async () => {
    const page = await bench.page({ colorScheme: 'dark' });
    await block(page, '^stun:|transport=udp');
    expect(await run(page, bench.server.url)).toBe('partly');
    expect(withoutQuality(await findings(page))).toEqual(['no-udp']);
    expect(await states(page)).toEqual(['fails', 'fails', 'works', 'not-offered']);
    expect(await page.getByTestId('findings').textContent()).toContain('Ask for UDP to be let out of this network');
    expect((await resultOf(page)).call).toMatchObject({ way: 'tcp', sent: 100 });
    await screenshot(page, 'check-partly-dark', true);
  });

  it('tells a server that takes no call from a network that lets nothing out', async () => {
    const page = await bench.page();
    await block(page, 'nothing');
    await run(page, bench.server.url);
    expect(await states(page)).toEqual(['works', 'works', 'works', 'not-offered']);
    const report = await resultOf(page);
    expect(report.ways.direct.proof).toBe('stun');
    expect(report.call).toMatchObject({ way: 'udp' });
  });

  it('leaves a room at once where somebody is in it', async () => {
    const ada = new Caller(await bench.page());
    await ada.join(bench.server, 'busy', { name: 'Ada' });
    const seen = await noteGuests(ada.page);
    const page = await bench.page();
    await page.goto(`${bench.server.url}/check/?room=busy&${QUERY}`);
    await expectReady(page, await finish(page));
    expect((await resultOf(page)).call).toBeUndefined();
    expect(await page.getByTestId('feel').isVisible()).toBe(false);
    expect(await seen()).toEqual(['came Connection check', 'went Connection check left']);
  });

  it('says that nothing works where nothing does, on a phone', async () => {
    const page = await bench.page({ viewport: { width: 390, height: 844 } });
    await block(page, '.');
    expect(await run(page, bench.server.url)).toBe('bad');
    expect(await findings(page)).toEqual(['no-media-path']);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await screenshot(page, 'check-bad-phone', true);
  });

  it('fits a phone when all is well, too, and can be run again', async () => {
    const page = await bench.page({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    await run(page, bench.server.url);
    await screenshot(page, 'check-good-phone', true);
    await page.getByTestId('again').click();
    await page.locator('[data-testid=verdict][data-verdict=running]').waitFor();
    await expectReady(page, await finish(page));
  });

  it('is there for programs as check()', async () => {
    const page = await bench.page();
    await page.goto(`${bench.server.url}/call/`);
    // As text, because the test runner rewrites the imports of functions.
    const report = (await page.evaluate(
      `import('${bench.server.url}/sdk/tourbillon.js').then(({ check }) => check({ durationMs: 1000, openTimeoutMs: 20000 }))`,
    )) as CheckReport;
    expect(report).toMatchObject({ signaling: { state: 'works' }, ways: { udp: { state: 'works' }, tcp: { state: 'works' } } });
    expect(report.call).toMatchObject({ way: 'direct', sent: 50 });
    expect(report.measured).toContain('to the server’s relay and back');
  });

  /** Kills the server in the middle of a check, which is to say so at once, and to blame nobody's network. */
  async function expectCut(page: Page, when: Locator): Promise<CheckReport> {
    await when.waitFor();
    await bench.server.kill();
    try {
      expect(await finish(page)).toBe('unfinished');
    } finally {
      await bench.server.run();
    }
    expect(await findings(page)).toEqual(['server-lost']);
    const words = await page.getByTestId('verdict').innerText();
    expect(words).toContain('broke off in the middle of the check');
    expect(words).not.toContain('Wi-Fi');
    return resultOf(page);
  }

  const LONG = 'seconds=60&open=60';

  it('says that the server went away while the ways were opened', async () => {
    const page = await bench.page();
    await block(page, '.'); // So that no way opens.
    await page.goto(`${bench.server.url}/check/?${LONG}`);
    const report = await expectCut(page, page.locator('[data-testid=way-direct][data-state=running]'));
    expect(report).toMatchObject({ signaling: { state: 'lost', code: 'unreachable' } });
    expect(await state(page, 'server')).toBe('lost');
    expect(await states(page)).toEqual(['unfinished', 'unfinished', 'unfinished', 'not-offered']);
  });

  it.each([
    ['at a desk', 1280, 'light'],
    ['on a phone', 390, 'dark'],
  ] as const)('says that the server went away in the measurement, %s', async (_, width, colorScheme) => {
    const page = await bench.page({ viewport: { width, height: 844 }, colorScheme });
    await page.goto(`${bench.server.url}/check/?${LONG}`);
    const report = await expectCut(page, page.locator('[data-testid=way-direct][data-state=works]'));
    expect(report.signaling.openedMs).toBeGreaterThan(0);
    expect(report.call).toBeUndefined();
    expect(await states(page)).toEqual(['unfinished', 'unfinished', 'unfinished', 'not-offered']);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await screenshot(page, `check-cut-${colorScheme}`, true);
    await page.getByTestId('again').click(); // The server is back.
    await page.locator('[data-testid=verdict][data-verdict=running]').waitFor();
    await page.locator('[data-testid=way-direct][data-state=works]').waitFor();
  });

  it('says that the server went away where it had to leave the room before', async () => {
    const ada = new Caller(await bench.page());
    await ada.join(bench.server, 'busy-cut', { name: 'Ada' });
    const page = await bench.page();
    await page.goto(`${bench.server.url}/check/?room=busy-cut&seconds=10&open=20`);
    await expectCut(page, page.locator('[data-testid=way-udp][data-state=running]'));
  });

  it('is a click away from the call page, with what lets the visitor in', async () => {
    const page = await bench.page();
    await page.goto(`${bench.server.url}/call/#token=a.b`);
    await page.getByTestId('check-link').click();
    await page.getByTestId('verdict').waitFor();
    expect(page.url()).toBe(`${bench.server.url}/check/#token=a.b`);
  });

  it.each([
    ['desk', 1280, 'light'],
    ['phone', 390, 'dark'],
  ] as const)('is a click away from the admin page, at a %s', async (name, width, colorScheme) => {
    const page = await bench.page({ viewport: { width, height: 844 }, colorScheme });
    await page.goto(await bench.server.freshLink());
    await page.locator('[data-testid=phase][data-phase=live]').waitFor();
    await screenshot(page, `admin-check-link-${name}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    const [opened] = await Promise.all([page.waitForEvent('popup'), page.getByTestId('check-link').click()]);
    await opened.getByTestId('verdict').waitFor();
    expect(new URL(opened.url())).toMatchObject({ pathname: '/check/', port: new URL(bench.server.url).port });
  });

  it('says that the server is gone', async () => {
    const page = await bench.page();
    await run(page, bench.server.url);
    await bench.server.kill();
    await page.getByTestId('again').click();
    await page.locator('[data-testid=verdict][data-verdict=bad]').waitFor();
    expect(await findings(page)).toEqual(['no-server']);
    await bench.server.run();
  });
});

describe('the check page of a server with a certificate', () => {
  const bench = new Bench([], { tls: true });

  it('finds all four ways', async () => {
    const page = await bench.page();
    await expectReady(page, await run(page, bench.server.url));
    expect(await states(page)).toEqual(['works', 'works', 'works', 'works']);
    const { ways, call } = await resultOf(page);
    for (const way of ['udp', 'tcp', 'tls'] as const) expect(ways[way].series?.received).toBeGreaterThan(0);
    expect(call).toMatchObject({ way: 'direct' });
    await screenshot(page, 'check-tls', true);
  });

  it('says so where only TLS gets through, and measures on that way', async () => {
    const page = await bench.page({ viewport: { width: 390, height: 844 } });
    await block(page, '^stun:|^turn:');
    expect(await run(page, bench.server.url)).toBe('partly');
    expect(withoutQuality(await findings(page))).toEqual(['tls-only']);
    expect(await states(page)).toEqual(['fails', 'fails', 'fails', 'works']);
    expect((await resultOf(page)).call).toMatchObject({ way: 'tls' });
    expect(await page.getByTestId('findings').textContent()).toContain('Only TLS');
    await screenshot(page, 'check-tls-only-phone', true);
  });
});

describe('the check page of a server whose certificate the browser does not trust', () => {
  const bench = new Bench([], { tls: true, trusted: false });

  it('names the relay over TLS, and what may be wrong with it', async () => {
    const page = await bench.page({ ignoreHTTPSErrors: true }); // As somebody who went past the warning.
    expect(await run(page, bench.server.url)).toBe('partly');
    expect(withoutQuality(await findings(page))).toEqual(['tls-fails']);
    expect(await states(page)).toEqual(['works', 'works', 'works', 'fails']);
    expect(await page.getByTestId('findings').textContent()).toContain('its certificate may not be valid');
  });
});

describe('the check page of a server without agents', () => {
  const bench = new Bench(['agents.listen=']);

  it('does with what STUN and the relay say', async () => {
    const page = await bench.page();
    await expectReady(page, await run(page, bench.server.url));
    expect(await states(page)).toEqual(['works', 'works', 'works', 'not-offered']);
    const report = await resultOf(page);
    expect(report.ways.direct.proof).toBe('stun');
    expect(report.call).toBeUndefined();
  });
});

describe('the check page of a server without TCP', () => {
  const bench = new Bench(['turn.tcp=[]']);

  it('says that this way is not offered, and holds it against nobody', async () => {
    const page = await bench.page();
    await expectReady(page, await run(page, bench.server.url));
    expect(await state(page, 'tcp')).toBe('not-offered');
  });

  it('finds no way at all where UDP is closed as well', async () => {
    const page = await bench.page();
    await block(page, '.');
    expect(await run(page, bench.server.url)).toBe('bad');
    expect(await state(page, 'tcp')).toBe('not-offered');
  });
});

describe('the check page of a server that wants tokens', () => {
  const bench = new Bench(['signaling.open_rooms=false']);

  it('says how to get in', async () => {
    const page = await bench.page();
    expect(await run(page, bench.server.url)).toBe('bad');
    expect(await findings(page)).toEqual(['refused']);
    expect(await page.getByTestId('way-server').textContent()).toContain('token');
  });

  it('lets in who comes from the admin page', async () => {
    const page = await bench.page();
    await page.goto(await bench.server.freshLink());
    const [opened] = await Promise.all([page.waitForEvent('popup'), page.getByTestId('check-link').click()]);
    await expectReady(opened, await finish(opened));
    expect(await state(opened, 'server')).toBe('works');
  });

  it('lets in who comes from the lobby after a call by invitation', async () => {
    const page = await bench.page();
    await page.goto(await bench.server.inviteLink());
    await page.getByTestId('leave').click();
    await page.getByTestId('home').click();
    await page.getByTestId('lobby').getByTestId('check-link').click();
    await page.getByTestId('verdict').waitFor();
    expect(new URL(page.url()).search).toBe('');
    await expectReady(page, await finish(page));
  });
});
