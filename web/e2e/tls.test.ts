/** The relay over TLS, and with it every way to the relay that a browser has. */
import { describe, expect, it } from 'vitest';
import { Bench } from './bench.js';
import type { Caller } from './caller.js';
import { until } from './until.js';

/** What the browser says of its own relay in the selected candidate pair: RTCIceCandidateStats, not read by our client. */
function relayOf({ page }: Caller): Promise<{ protocol: unknown; url: unknown } | null> {
  return page.evaluate(async () => {
    const connection = [...(window.tourbillon.room?.peers.values() ?? [])][0]?.connection;
    const stats = [...((await connection?.getStats()) ?? new Map()).values()] as Record<string, unknown>[];
    const pair = stats.find(({ type }) => type === 'transport')?.['selectedCandidatePairId'];
    const local = stats.find(({ id }) => id === pair)?.['localCandidateId'];
    const candidate = stats.find(({ id }) => id === local);
    return candidate?.['candidateType'] === 'relay' ? { protocol: candidate['relayProtocol'], url: candidate['url'] } : null;
  });
}

describe('a server with a certificate', () => {
  const bench = new Bench([], { tls: true });

  it.each(['udp', 'tcp', 'tls'] as const)('carries a call of pages on HTTPS, relayed over %s only', async (relay) => {
    const [ada, bob] = await bench.call(`relay-${relay}`, { relay });
    for (const caller of [ada, bob]) {
      const { protocol, url } = (await relayOf(caller)) ?? {};
      expect(protocol).toBe(relay);
      expect(url).toMatch(relay === 'tls' ? /^turns:127\.0\.0\.1:\d+\?transport=tcp$/ : /^turn:/);
      expect(await caller.path()).toMatchObject({ kind: 'relay', transport: relay });
    }
    const badge = ada.page.getByTestId('path-badge');
    await until('the badge names the relay', async () => (await badge.textContent())?.startsWith(`relay ${relay}`));
    await ada.say('by the relay');
    await bob.hears('by the relay');
  });
});
