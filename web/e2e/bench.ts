/** One server and one browser for the tests of a file, and fresh users for each test. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { Complaints, launchBrowser, newPage } from './browser.js';
import { Caller } from './caller.js';
import { Server } from './server.js';

export interface TLSOptions {
  /** Whether the server has a certificate, and with it HTTPS and a relay over TLS. */
  tls?: boolean;
  /** Whether the browser trusts it. */
  trusted?: boolean;
}

export class Bench {
  server!: Server;
  private browser: Browser | undefined;
  private complaints = new Complaints();

  /** Registers the hooks that start and end everything. The settings are the server's. */
  constructor(settings: string[] = [], { tls = false, trusted = true }: TLSOptions = {}) {
    beforeAll(async () => {
      this.server = await Server.start(settings, tls);
      this.browser = await launchBrowser(trusted ? this.server.certificate?.pin : undefined);
    });
    afterEach(async () => {
      await this.closePages();
      const { list } = this.complaints;
      this.complaints = new Complaints();
      expect(list).toEqual([]);
    });
    afterAll(async () => {
      await this.browser?.close().catch(() => undefined); // One that has crashed had its test fail.
      await this.server?.stop();
    });
  }

  page(options?: BrowserContextOptions): Promise<Page> {
    if (!this.browser) throw new Error('the browser is not running');
    return newPage(this.browser, this.complaints, options);
  }

  /** Two users in one room, with pictures moving on both sides. */
  async call(room: string, query: Record<string, string> = {}): Promise<[Caller, Caller]> {
    const ada = new Caller(await this.page());
    const bob = new Caller(await this.page({ colorScheme: 'dark' }));
    await ada.join(this.server, room, { name: 'Ada', ...query });
    await bob.join(this.server, room, { name: 'Bob', ...query });
    await Promise.all([ada.seesMotion(), bob.seesMotion()]);
    return [ada, bob];
  }

  private async closePages(): Promise<void> {
    for (const context of this.browser?.contexts() ?? []) await context.close();
  }
}
