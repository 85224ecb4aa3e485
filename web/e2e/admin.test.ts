import { beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';
import { until } from './until.js';

const bench = new Bench();
let login: (page: Page) => Promise<void>;

beforeAll(() => {
  // Links work once, so each page gets its own.
  login = async (page) => {
    await page.goto(await bench.server.freshLink());
    await live(page);
  };
});

function live(page: Page): Promise<void> {
  return page.locator('[data-testid=phase][data-phase=live]').waitFor();
}

function points(page: Page): Promise<{ t: number[]; injected: (number | null)[]; control: (number | null)[] }> {
  return page.evaluate(() => window.tourbillonAdmin.points());
}

/** The values of one arm that are measured, each once. */
function distinct(values: (number | null)[]): number {
  return new Set(values.filter((value) => value !== null)).size;
}

function relayedBytes(page: Page): Promise<number> {
  return page
    .locator('[data-testid=allocations] tr[data-bytes]')
    .evaluateAll((rows) => rows.reduce((sum, row) => sum + Number(row.getAttribute('data-bytes')), 0));
}

describe('the admin page', () => {
  it('opens through the printed link, and its chart moves on both arms', async () => {
    const page = await bench.page();
    await page.goto(await bench.server.printedLink());
    await live(page);
    const before = (await points(page)).t.at(-1) ?? 0;
    await until(
      'ten new points are in the chart',
      async () => (await points(page)).t.filter((t) => t > before).length >= 10,
    );
    const { t, injected, control } = await points(page);
    expect(injected).toHaveLength(t.length);
    expect(distinct(injected)).toBeGreaterThan(3);
    expect(distinct(control)).toBeGreaterThan(3);
    expect(await page.getByTestId('chart').locator('canvas').count()).toBe(1);
    await page.getByTestId('ratio').waitFor();
  });

  it('lists the timers by purpose, with those of pion', async () => {
    const page = await bench.page();
    await login(page);
    await page.locator('[data-testid=labels] tr[data-label^="pion."]').first().waitFor();
  });

  it('folds the timers that have not fired, and opens them by keyboard', async () => {
    const page = await bench.page();
    await login(page);
    const silent = page.getByTestId('silent');
    await silent.waitFor();
    expect(await silent.textContent()).toMatch(/^\d+ labels? ha(s|ve) not fired$/);
    const list = page.locator('#silent-labels');
    expect(await list.isVisible()).toBe(false);
    await silent.focus();
    await page.keyboard.press('Enter');
    await list.waitFor();
    expect(await silent.getAttribute('aria-expanded')).toBe('true');
    expect(await page.locator('[data-testid=labels] tr[data-label]').count()).toBeGreaterThan(0);
  });

  it('says that the relay is ready', async () => {
    const page = await bench.page();
    await login(page);
    await page.getByTestId('ready').getByText('ready', { exact: true }).waitFor();
  });

  it('says in words that nobody is there', async () => {
    const page = await bench.page();
    await login(page);
    await page.getByTestId('rooms').getByText('Nobody is in a room').waitFor();
  });

  it('shows a relayed call and its growing traffic', async () => {
    const page = await bench.page();
    await login(page);
    await bench.call('watched', { relay: 'udp' });
    const rooms = page.getByTestId('rooms');
    await rooms.locator('tr[data-peer]').nth(1).waitFor();
    expect(await rooms.textContent()).toContain('watched');
    await until('something is relayed', async () => (await relayedBytes(page)) > 0);
    const before = await relayedBytes(page);
    await until('the relayed bytes grow', async () => (await relayedBytes(page)) > before);
    await page.getByTestId('allocations').getByRole('button').first().focus();
    await page.keyboard.press('Enter');
    const detail = page.getByTestId('allocation-detail');
    await until('the allocation has a peer', async () => (await detail.textContent())?.includes('127.0.0.1'));
    expect(await detail.textContent()).toMatch(/Listener127\.0\.0\.1:\d+Ends.*Peers permitted.*Channels.*Packets dropped/);
    await screenshots(page);
  });

  it('comes back when the server was restarted', async () => {
    const page = await bench.page();
    await login(page);
    const before = await page.getByTestId('server').textContent();
    await bench.server.kill();
    await page.locator('[data-testid=phase][data-phase=reconnecting]').waitFor();
    await page.getByTestId('gone').getByText('The server does not answer.').waitFor();
    await bench.server.run();
    await live(page);
    await page.getByTestId('gone').waitFor({ state: 'detached' });
    await until('another server answers', async () => (await page.getByTestId('server').textContent()) !== before);
  });

  it('says what to do when its session is over', async () => {
    const page = await bench.page();
    await login(page);
    await page.context().clearCookies();
    await bench.server.kill();
    await bench.server.run();
    await page.getByTestId('locked').getByText('tourbillon admin-link').waitFor();
  });

  it('asks for a link without a session', async () => {
    expect((await fetch(`${bench.server.adminURL}/api/state`)).status).toBe(401);
    expect((await fetch(`${bench.server.adminURL}/api/stream`)).status).toBe(401);
  });
});

async function screenshots(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [name, width] of [
      ['desktop', 1280],
      ['phone', 390],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      await until('the chart has its new width', () =>
        page.locator('.uplot').evaluate((plot) => plot.clientWidth <= window.innerWidth),
      );
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
      await screenshot(page, `admin-${name}-${colorScheme}`, true);
    }
  }
}
