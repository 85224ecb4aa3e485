import { type Clock, pageClock } from '../clock.js';
import { asTourbillonError } from '../errors.js';
import { type RelayMode, rtcConfiguration, stunURLs } from '../ice-servers.js';
import type { IceServer } from '../protocol.js';
import { measureDirect } from './direct.js';
import { measureLoop } from './loop.js';
import { type CheckReport, MEASURED, type Way, type WayResult, judge } from './report.js';
import { visitForServers } from './servers.js';

export interface CheckOptions {
  /** The WebSocket's address; by default /ws of the page's own origin. */
  url?: string;
  /** A room that the token opens; by default one that nobody is in. It is entered for a moment only. */
  room?: string;
  token?: string;
  /** How long the packets are measured. Default 10000. */
  durationMs?: number;
  /** How long each way may take to open. Default 12000. */
  openTimeoutMs?: number;
  /** Ends the check early; the report says what was found until then. */
  signal?: AbortSignal;
  /** Called with the report so far whenever something changed. */
  progress?(report: CheckReport): void;
  clock?: Clock;
}

const DURATION_MS = 10_000;
const OPEN_TIMEOUT_MS = 12_000;
const SERVER_TIMEOUT_MS = 8000;
const RELAYS: readonly RelayMode[] = ['udp', 'tcp', 'tls'];

/**
 * Finds out which ways from this browser to the server work, and how well. Never rejects: what does not work is in the
 * report.
 */
export async function check(options: CheckOptions = {}): Promise<CheckReport> {
  const run = new CheckRun(options);
  return run.finish();
}

class CheckRun {
  private readonly clock: Clock;
  private readonly url: string;
  private readonly signal: AbortSignal;
  private readonly report: CheckReport;

  constructor(private readonly options: CheckOptions) {
    this.clock = options.clock ?? pageClock;
    this.url = options.url ?? new URL('/ws', location.href.replace(/^http/, 'ws')).href;
    this.signal = options.signal ?? new AbortController().signal;
    this.report = emptyReport(new URL(this.url).host);
  }

  async finish(): Promise<CheckReport> {
    const servers = await this.reachServer();
    if (servers) await Promise.all([this.runDirect(servers), ...RELAYS.map((relay) => this.runRelay(relay, servers))]);
    else for (const way of Object.values(this.report.ways)) way.state = 'fails';
    Object.assign(this.report, judge(this.report));
    this.tell();
    return this.report;
  }

  private async reachServer(): Promise<IceServer[] | null> {
    this.tell();
    const { room = randomRoom(), token } = this.options;
    const { url, clock, signal, report } = this;
    const start = clock.now();
    try {
      const servers = await visitForServers({ url, room, token, clock, signal, timeoutMs: SERVER_TIMEOUT_MS });
      report.signaling = { state: 'works', openedMs: Math.round(clock.now() - start) };
      return servers;
    } catch (error) {
      const { code, message, remedy } = asTourbillonError(error);
      report.signaling = { state: 'fails', code, reason: remedy ? `${message}: ${remedy}` : message };
      return null;
    } finally {
      this.tell();
    }
  }

  private runDirect(servers: IceServer[]): Promise<void> {
    const urls = stunURLs(servers);
    return this.runWay('direct', urls.length > 0, async (way) => {
      const ms = await measureDirect(urls, this.clock, this.openTimeoutMs, this.signal);
      way.openedMs = Math.round(ms);
    });
  }

  private runRelay(relay: RelayMode, servers: IceServer[]): Promise<void> {
    const configuration = rtcConfiguration(servers, relay);
    return this.runWay(relay, (configuration.iceServers ?? []).length > 0, async (way) => {
      way.series = await measureLoop({
        configuration,
        clock: this.clock,
        durationMs: this.options.durationMs ?? DURATION_MS,
        openTimeoutMs: this.openTimeoutMs,
        signal: this.signal,
        opened: (ms) => {
          way.openedMs = Math.round(ms);
          this.tell();
        },
      });
      if (way.series.received === 0) throw new Error('the path opened, and no packet arrived');
    });
  }

  private async runWay(name: Way, offered: boolean, measure: (way: WayResult) => Promise<void>): Promise<void> {
    const way = this.report.ways[name];
    way.state = offered ? 'running' : 'not-offered';
    this.tell();
    if (!offered) return;
    try {
      await measure(way);
      way.state = 'works';
    } catch (error) {
      way.state = 'fails';
      way.reason = asTourbillonError(error).message;
    }
    this.tell();
  }

  private get openTimeoutMs(): number {
    return this.options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
  }

  private tell(): void {
    this.options.progress?.(structuredClone(this.report));
  }
}

function emptyReport(server: string): CheckReport {
  const waiting = (): WayResult => ({ state: 'waiting' });
  return {
    version: 1,
    measured: MEASURED,
    startedAt: new Date().toISOString(),
    server,
    browser: navigator.userAgent,
    verdict: 'running',
    findings: [],
    signaling: { state: 'waiting' },
    ways: { direct: waiting(), udp: waiting(), tcp: waiting(), tls: waiting() },
  };
}

function randomRoom(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `check-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
