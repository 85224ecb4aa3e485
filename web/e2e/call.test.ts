import { expect, it } from 'vitest';
import { Bench } from './bench.js';
import { screenshot } from './browser.js';
import { Caller, noteGuests } from './caller.js';
import { until } from './until.js';

const bench = new Bench();

it('carries pictures and chat directly between two pages', async () => {
  const [ada, bob] = await bench.call('direct');
  expect(await ada.path()).toMatchObject({ kind: 'direct' });
  await until('the heartbeat is watched from a worker', () => ada.page.workers().length === 1);
  await until('the badge names the path', async () =>
    /^direct/.test((await ada.page.getByTestId('path-badge').textContent()) ?? ''),
  );
  await ada.say('Good morning <b>Bob</b>');
  await bob.hears('Good morning <b>Bob</b>');
  await bob.say('Good morning');
  await ada.hears('Good morning');
  await screenshot(ada.page, 'call-light');
  await screenshot(bob.page, 'call-dark');
});

it('shows that the microphone is muted, and silences it', async () => {
  const [ada] = await bench.call('mute');
  const mic = ada.page.getByTestId('mic');
  await mic.click();
  expect(await mic.getAttribute('aria-pressed')).toBe('true');
  await ada.page.getByTestId('muted-mark').waitFor({ state: 'visible' });
  const enabled = await ada.page.evaluate(() => {
    const video = document.getElementById('local-video') as HTMLVideoElement;
    return (video.srcObject as MediaStream).getAudioTracks().map((track) => track.enabled);
  });
  expect(enabled).toEqual([false]);
  await mic.click();
  await ada.page.getByTestId('muted-mark').waitFor({ state: 'hidden' });
});

it('works for one who has neither camera nor microphone', async () => {
  const ada = new Caller(await bench.page());
  await ada.join(bench.server, 'watcher', { name: 'Ada' });
  const page = await bench.page();
  await page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('none', 'NotFoundError'));
  });
  const bob = new Caller(page);
  await bob.join(bench.server, 'watcher', { name: 'Bob' });
  expect(await page.getByTestId('notice-text').textContent()).toContain('none was found');
  await bob.seesMotion();
});

it('takes a closed page from the others at once, and not because it was missed', async () => {
  const [ada, bob] = await bench.call('closing');
  const seen = await noteGuests(ada.page);
  await bob.page.close();
  await ada.tiles.waitFor({ state: 'detached' });
  expect(await seen()).toEqual(['went Bob left']);
});

it('lets a user leave and come back', async () => {
  const [ada, bob] = await bench.call('leaving');
  await bob.page.getByTestId('leave').click();
  await bob.page.getByTestId('left').waitFor();
  await ada.tiles.waitFor({ state: 'detached' });
  await bob.page.getByTestId('rejoin').click();
  await ada.tiles.waitFor();
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
});

it('asks for a room and a name when the address has none', async () => {
  const page = await bench.page();
  await page.goto(`${bench.server.url}/call/`);
  await page.getByTestId('lobby').waitFor();
  await screenshot(page, 'lobby');
  await page.getByLabel('Room').fill('lobby');
  await page.getByLabel('Your name').fill('Ada');
  await page.getByTestId('join').click();
  await new Caller(page).waitForState('joined');
  expect(page.url()).toContain('room=lobby');
});

it('is there for other pages as one module', async () => {
  const page = await bench.page();
  await page.goto(`${bench.server.url}/call/`);
  // As text, because the test runner rewrites the imports of functions.
  const state = await page.evaluate(
    `import('${bench.server.url}/sdk/tourbillon.js')
       .then(({ join }) => join({ room: 'module' }))
       .then((room) => room.state)`,
  );
  expect(state).toBe('joined');
  await until('the heartbeat is watched from a worker', () => page.workers().length === 1);
});

it('fits a phone', async () => {
  const [ada] = await bench.call('phone');
  const page = await bench.page({ viewport: { width: 390, height: 844 } });
  const eve = new Caller(page);
  await eve.join(bench.server, 'phone', { name: 'Eve' });
  await eve.seesMotion();
  expect(await ada.tiles.count()).toBe(2);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await screenshot(page, 'call-phone');
});
