import type { Locator, Page } from 'playwright-core';
import { readPath } from '../sdk/src/path.js';
import type { Server } from './server.js';
import { until } from './until.js';

/** A user of the call page, and what can be measured about the call on that side. */
export class Caller {
  constructor(readonly page: Page) {}

  async join(server: Server, room: string, query: Record<string, string> = {}): Promise<void> {
    await this.page.goto(server.callURL(room, query));
    await this.waitForState('joined');
  }

  /** The tiles of the others. */
  get tiles(): Locator {
    return this.page.getByTestId('remote-tile');
  }

  get status(): Locator {
    return this.page.getByTestId('status');
  }

  async waitForState(state: 'joined' | 'reconnecting'): Promise<void> {
    await this.page.locator(`[data-testid=status][data-state=${state}]`).waitFor();
  }

  /** Video frames that this side has decoded so far, of all others together. */
  async frames(): Promise<number> {
    return (await this.stats()).reduce((sum, entry) => sum + inboundFrames(entry), 0);
  }

  /** Waits until the picture moves from now on. */
  async seesMotion(): Promise<void> {
    const before = await this.frames();
    await until('frames are decoded', async () => (await this.frames()) > before + 10);
  }

  /** How this side's packets travel. */
  async path(): Promise<ReturnType<typeof readPath>> {
    return readPath((await this.stats()).map((entry) => [entry.id, entry]));
  }

  async say(text: string): Promise<void> {
    await this.page.getByTestId('chat-input').fill(text);
    await this.page.getByTestId('chat-input').press('Enter');
  }

  async hears(text: string): Promise<void> {
    await this.page.getByTestId('chat-log').getByText(text, { exact: true }).waitFor();
  }

  /** The statistics of all connections; the tests have two users, so there is one. */
  private stats(): Promise<Stat[]> {
    return this.page.evaluate(async () => {
      const peers = [...(window.tourbillon.room?.peers.values() ?? [])];
      const reports = await Promise.all(peers.map(({ connection }) => connection?.getStats()));
      return reports.flatMap((report) => (report ? [...(report as unknown as Map<string, Stat>).values()] : []));
    });
  }
}

declare global {
  interface Window {
    guests: string[];
  }
}

/** Notes who comes and goes, and why, from now on; the returned function reads it. */
export async function noteGuests(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const guests: string[] = (window.guests = []);
    const { room } = window.tourbillon;
    const there = new Set(room?.peers.keys());
    room?.on('peer', (peer) => {
      if (!there.has(peer.id)) guests.push(`came ${peer.name}`);
      peer.on('away', (away) => guests.push(`${away ? 'lost' : 'back'} ${peer.name}`));
    });
    room?.on('peer-left', ({ peer, reason }) => guests.push(`went ${peer.name} ${reason}`));
  });
  return () => page.evaluate(() => window.guests);
}

interface Stat {
  id: string;
  type: string;
  [field: string]: unknown;
}

function inboundFrames(entry: Stat): number {
  return entry.type === 'inbound-rtp' && entry['kind'] === 'video' ? Number(entry['framesDecoded'] ?? 0) : 0;
}
