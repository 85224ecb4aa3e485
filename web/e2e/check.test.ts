import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import type { CheckReport, Way } from '../sdk/src/index.js';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';

/** A port that nobody listens on; the discard service is long gone. */
const DEAD = '127.0.0.1:9';

/** Sends the browser somewhere else for the URLs that match, as a firewall would. */
async function block(page: Page, pattern: string): Promise<void> {
  await page.addInitScript(
    ([source, dead]) => {
      const parse = JSON.parse;
      const blocked = new RegExp(source as string);
      const redirect = (url: string): string => (blocked.test(url) ? url.replace(/127\.0\.0\.1:\d+/, dead as string) : url);
      JSON.parse = (text, reviver) => {
        const value = parse(text, reviver) as { ice_servers?: { urls: string[] }[] };
        for (const server of value?.ice_servers ?? []) server.urls = server.urls.map(redirect);
        return value;
      };
    },
    [pattern, DEAD],
  );
}

async function run(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/check/?seconds=2`);
  return finish(page);
}

async function finish(page: Page): Promise<string> {
  const verdict = page.locator('[data-testid=verdict]:not([data-verdict=running])');
  await verdict.waitFor({ timeout: 40_000 });
  return (await verdict.getAttribute('data-verdict')) as string;
}

const state = (page: Page, way: Way | 'server'): Promise<string | null> =>
  page.getByTestId(`way-${way}`).getAttribute('data-state');

const findings = (page: Page): Promise<(string | null)[]> =>
  page.locator('[data-finding]').evaluateAll((items) => items.map((item) => item.getAttribute('data-finding')));

/** Findings on how well a way works: on a busy machine they come and go. */
const QUALITY = new Set<string | null>(['slow', 'jittery', 'lossy']);
const withoutQuality = (list: (string | null)[]): (string | null)[] => list.filter((finding) => !QUALITY.has(finding));

/** All ways that are offered work, and the verdict says what was found of their quality. */
async function expectReady(page: Page, verdict: string): Promise<void> {
  const found = await findings(page);
  expect(withoutQuality(found)).toEqual([]);
  expect(verdict).toBe(found.length === 0 ? 'good' : 'partly');
}

describe('the check page', () => {
  const bench = new Bench();

  it('says that all is well, and hands its result out as JSON', async () => {
    const page = await bench.page();
    await page.goto(`${bench.server.url}/check/?seconds=2`);
    await page.locator('[data-testid=way-udp][data-state=running]').waitFor();
    await screenshot(page, 'check-running');
    await expectReady(page, await finish(page));
    for (const way of ['server', 'direct', 'udp', 'tcp'] as const) expect(await state(page, way)).toBe('works');
    expect(await state(page, 'tls')).toBe('not-offered');
    await screenshot(page, 'check-good', true);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('save').click()]);
    const text = await readFile(await download.path(), 'utf8');
    const report = JSON.parse(text) as CheckReport;
    expect(report).toMatchObject({ version: 1, findings: await findings(page) });
    expect(report.ways.udp.series?.received).toBeGreaterThan(50);
    expect(report.ways.udp.series?.lossShare).toBeLessThan(0.5);
    expect(text).not.toContain('candidate');
    expect(download.suggestedFilename()).toMatch(/^connection-check-.*\.json$/);
  });

  it('names a closed UDP and what to do, and takes the TCP relay', async () => {
    const page = await bench.page({ colorScheme: 'dark' });
    await block(page, '^stun:|transport=udp');
    expect(await run(page, bench.server.url)).toBe('partly');
    expect(withoutQuality(await findings(page))).toEqual(['no-udp']);
    expect([await state(page, 'direct'), await state(page, 'udp'), await state(page, 'tcp')]).toEqual([
      'fails',
      'fails',
      'works',
    ]);
    await screenshot(page, 'check-partly-dark', true);
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
      `import('${bench.server.url}/sdk/tourbillon.js').then(({ check }) => check({ durationMs: 1000 }))`,
    )) as CheckReport;
    expect(report).toMatchObject({ signaling: { state: 'works' }, ways: { udp: { state: 'works' }, tcp: { state: 'works' } } });
    expect(report.measured).toContain('to the server’s relay and back');
  });

  it('says that the server is gone', async () => {
    const page = await bench.page();
    await run(page, bench.server.url);
    await bench.server.kill();
    await page.getByTestId('again').click();
    await page.locator('[data-testid=verdict][data-verdict=bad]').waitFor({ timeout: 20_000 });
    expect(await findings(page)).toEqual(['no-server']);
    await bench.server.run();
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
});
