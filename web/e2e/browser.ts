/** The browser under test, and what the tests read from its pages. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core';
import { PATIENCE_MS } from './until.js';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--allow-loopback-in-peer-connection',
  '--autoplay-policy=no-user-gesture-required',
];

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * Starts it. The pin is of a certificate authority that it trusts, in pages and in the TLS connections of WebRTC alike;
 * another certificate that is not signed by an authority of the host's is refused.
 */
export async function launchBrowser(pin?: string): Promise<Browser> {
  return launch(browserPath(), pin ? [`--ignore-certificate-errors-spki-list=${pin}`] : []);
}

/** Where the browser is. */
export function browserPath(): string {
  return process.env['CHROMIUM'] ?? CANDIDATES.find(existsSync) ?? 'chromium';
}

/** Starts what a program starts, which has an origin without TLS use cameras as one with it. */
export async function launchInsecure(program: string, origin: string): Promise<Browser> {
  return launch(program, [`--unsafely-treat-insecure-origin-as-secure=${origin}`]);
}

function launch(executablePath: string, args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...FLAGS, ...args], timeout: PATIENCE_MS });
}

/** What the pages of a test did wrong: scripts that broke, and anything that a security policy stopped. */
export class Complaints {
  readonly list: string[] = [];

  watch(page: Page): void {
    page.on('pageerror', (error) => this.list.push(error.message));
    page.on('console', (message) => {
      const text = message.text();
      if (/Content Security Policy|Trusted ?Type|TrustedHTML|TrustedScript/i.test(text)) this.list.push(text);
    });
  }
}

/** Opens a page in a context of its own: another user, as far as the browser knows. */
export async function newPage(
  browser: Browser,
  complaints: Complaints,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  complaints.watch(page);
  return page;
}

export async function screenshot(page: Page, name: string, fullPage = false): Promise<void> {
  const path = fileURLToPath(new URL(`../../artefacts/${name}.png`, import.meta.url));
  await page.screenshot({ path, fullPage });
}
