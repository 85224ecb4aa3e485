import { expect, it } from 'vitest';
import { Bench } from './bench.js';
import type { Caller } from './caller.js';

const bench = new Bench();

async function survivesRestart(ada: Caller, bob: Caller): Promise<void> {
  const both = [ada, bob];
  const id = await ada.tiles.getAttribute('data-peer');
  await bench.server.kill();
  await Promise.all(both.map((caller) => caller.waitForState('reconnecting')));
  await bench.server.run();
  await Promise.all(both.map((caller) => caller.waitForState('joined')));
  await Promise.all(both.map((caller) => caller.seesMotion()));
  expect(await ada.tiles.count()).toBe(1);
  expect(await ada.tiles.getAttribute('data-peer')).toBe(id);
}

it('brings a direct call through a killed server, untouched and without a pause', async () => {
  const [ada, bob] = await bench.call('restart-direct');
  const connection = await ada.page.evaluateHandle(
    () => [...(window.tourbillon.room?.peers.values() ?? [])][0]?.connection,
  );
  await survivesRestart(ada, bob);
  const kept = await ada.page.evaluate(
    (before) => [...(window.tourbillon.room?.peers.values() ?? [])][0]?.connection === before,
    connection,
  );
  expect(kept).toBe(true);
});

it('keeps a direct call going while the server is away', async () => {
  const [ada, bob] = await bench.call('away');
  await bench.server.kill();
  await Promise.all([ada.waitForState('reconnecting'), bob.waitForState('reconnecting')]);
  await Promise.all([ada.seesMotion(), bob.seesMotion()]);
  await bench.server.run();
  await Promise.all([ada.waitForState('joined'), bob.waitForState('joined')]);
});

it.each(['udp', 'tcp'] as const)('brings a call relayed over %s through a killed server, untouched', async (relay) => {
  const [ada, bob] = await bench.call(`restart-${relay}`, { relay });
  await survivesRestart(ada, bob);
  for (const caller of [ada, bob]) expect(await caller.path()).toMatchObject({ kind: 'relay', transport: relay });
});
