import { type Clock, pageClock } from '../clock.js';
import { TourbillonError, asTourbillonError } from '../errors.js';
import { RELAY_MODES, type RelayMode, rtcConfiguration, stunURLs } from '../ice-servers.js';
import { defaultURL } from '../link.js';
import type { IceServer } from '../protocol.js';
import { ApplianceCall, Silent } from './appliance.js';
import { measureDirect } from './direct.js';
import { measureLoop } from './loop.js';
import { type CheckReport, MEASURED, type Way, type WayResult, cutShort, deadReason, judge } from './report.js';
import { Visit, serverAt } from './visit.js';
import type { Patience } from './wait.js';

export interface CheckOptions {
  /** The WebSocket's address; by default /ws of the page's own origin. */
  url?: string;
  /** A room that the token opens; by default one that nobody is in. It is left at once where somebody is in it. */
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
const NOTHING_CAME = 'the path opened, and no packet arrived';

/**
 * Finds out which ways from this browser to the server work, and how well. Never rejects: what does not work is in the
 * report.
 */
export async function check(options: CheckOptions = {}): Promise<CheckReport> {
  const run = new CheckRun(options);
  return run.finish();
}

/** "refused": the server takes no call of this visitor, on any way; "died": the call opened, and most of it got lost. */
type CallOutcome = 'opened' | 'no-way' | 'refused' | 'died';

class CheckRun {
  private readonly clock: Clock;
  private readonly url: string;
  /** Ends what is under way: when the caller says so, and when the server is gone. */
  private readonly ending = new AbortController();
  private report: CheckReport;

  constructor(private readonly options: CheckOptions) {
    this.clock = options.clock ?? pageClock;
    this.url = options.url ?? defaultURL();
    this.report = emptyReport(new URL(this.url).host);
  }

  async finish(): Promise<CheckReport> {
    const end = (): void => this.ending.abort();
    this.options.signal?.addEventListener('abort', end, { once: true });
    if (this.options.signal?.aborted) end();
    const visit = await this.reachServer();
    if (visit) await this.runWays(visit);
    else for (const way of Object.values(this.report.ways)) way.state = 'fails';
    this.options.signal?.removeEventListener('abort', end);
    if (this.ending.signal.aborted) this.report = cutShort(this.report);
    Object.assign(this.report, this.isEnded ? { verdict: 'unfinished', findings: [] } : judge(this.report));
    this.tell();
    return this.report;
  }

  private async reachServer(): Promise<Visit | null> {
    this.tell();
    const start = this.clock.now();
    try {
      const visit = await this.enter();
      this.report.signaling = { state: 'works', openedMs: Math.round(this.clock.now() - start) };
      return visit;
    } catch (error) {
      this.report.signaling = this.isEnded ? { state: 'unfinished' } : refused(asTourbillonError(error));
      return null;
    } finally {
      this.tell();
    }
  }

  private enter(): Promise<Visit> {
    const { room = randomRoom(), token } = this.options;
    const lost = (): void => this.lose();
    return Visit.enter({ ...this.patience, url: this.url, room, token, timeoutMs: SERVER_TIMEOUT_MS, lost });
  }

  /** The caller ended the check, and the server was there until then. */
  private get isEnded(): boolean {
    return this.options.signal?.aborted === true && this.report.signaling.state !== 'lost';
  }

  /** The server is gone: what is measured from here on would tell of that, and of no network. */
  private lose(): void {
    const reason = 'the connection to the server broke off';
    this.report.signaling = { ...this.report.signaling, state: 'lost', code: 'unreachable', reason };
    this.tell();
    this.ending.abort();
  }

  private async runWays(visit: Visit): Promise<void> {
    const relays = RELAY_MODES.map((relay) => this.runRelay(relay, visit.servers));
    const outcome = await this.runDirect(visit);
    await Promise.all(relays);
    visit.leave(); // Only now: until here it tells whether the server is there.
    if (outcome === 'no-way' || outcome === 'died') await this.callThroughRelay();
    await this.doubt(visit.server);
  }

  /** Before anything is held against a way: is it still the same server? The visitor may have had to leave early. */
  private async doubt(server: string): Promise<void> {
    if (this.ending.signal.aborted || judge(this.report).verdict === 'good') return;
    const now = await serverAt(this.url, SERVER_TIMEOUT_MS, this.patience).catch(() => null);
    if (now !== server && !this.ending.signal.aborted) this.lose();
  }

  /** A call to the server is the proof. Where there is none, the answer of its STUN service is a lesser one. */
  private async runDirect(visit: Visit): Promise<CallOutcome> {
    const urls = stunURLs(visit.servers);
    const stun = urls.length > 0 ? measureDirect(urls, this.openTimeoutMs, this.patience) : null;
    stun?.catch(() => undefined); // It is awaited only where there is no call.
    const outcome = await this.callDirectly(visit, urls);
    if (outcome === 'opened' || outcome === 'died' || this.ending.signal.aborted) return outcome;
    await this.runWay('direct', stun !== null, async (way) => {
      way.openedMs = Math.round((await stun) ?? 0);
      way.proof = 'stun';
    });
    return outcome;
  }

  private async callDirectly(visit: Visit, urls: string[]): Promise<CallOutcome> {
    const way = this.report.ways.direct;
    const start = this.clock.now();
    way.state = 'running';
    this.tell();
    const opened = (): void => {
      Object.assign(way, { state: 'works', proof: 'call', openedMs: Math.round(this.clock.now() - start) });
      this.tell();
    };
    try {
      await this.measureCall('direct', visit, { iceServers: urls.length > 0 ? [{ urls }] : [] }, opened);
      const reason = this.report.call && deadReason(this.report.call);
      return reason ? this.died(way, reason) : 'opened';
    } catch (error) {
      if (this.ending.signal.aborted) way.state = 'unfinished';
      else if (error instanceof Silent) return this.died(way, NOTHING_CAME);
      if (way.proof === 'call') return 'opened'; // It ended later, in the series.
      return error instanceof TourbillonError ? 'refused' : 'no-way';
    }
  }

  private died(way: WayResult, reason: string): CallOutcome {
    Object.assign(way, { state: 'fails', reason });
    return 'died';
  }

  /** The best relayed way that works, measured by a call as the direct way would have been. */
  private async callThroughRelay(): Promise<void> {
    const relay = RELAY_MODES.find((way) => this.report.ways[way].state === 'works');
    if (!relay || this.ending.signal.aborted) return;
    try {
      // The server takes an offer from the same seat for the call that failed.
      const visit = await this.enter();
      await this.measureCall(relay, visit, rtcConfiguration(visit.servers, relay)).finally(() => visit.leave());
    } catch {
      // The figures of the relay itself stand.
    }
  }

  private async measureCall(way: Way, visit: Visit, servers: RTCConfiguration, opened?: () => void): Promise<void> {
    const call = await ApplianceCall.open(visit, servers, this.openTimeoutMs, this.patience);
    try {
      opened?.();
      this.report.call = { way, ...(await call.measure(this.durationMs)) };
    } finally {
      call.close();
    }
  }

  private runRelay(relay: RelayMode, servers: readonly IceServer[]): Promise<void> {
    const configuration = rtcConfiguration(servers, relay);
    return this.runWay(relay, (configuration.iceServers ?? []).length > 0, async (way) => {
      way.series = await measureLoop({
        ...this.patience,
        configuration,
        durationMs: this.durationMs,
        openTimeoutMs: this.openTimeoutMs,
        opened: (ms) => {
          way.openedMs = Math.round(ms);
          this.tell();
        },
      });
      if (way.series.received === 0) throw new Error(NOTHING_CAME);
      const reason = deadReason(way.series);
      if (reason) throw new Error(reason);
    });
  }

  private async runWay(name: Way, offered: boolean, measure: (way: WayResult) => Promise<void>): Promise<void> {
    const way = this.report.ways[name];
    way.state = offered ? 'running' : 'not-offered';
    this.tell();
    if (!offered) return;
    try {
      await measure(way);
      way.state = this.ending.signal.aborted ? 'unfinished' : 'works';
    } catch (error) {
      way.state = 'fails';
      way.reason = asTourbillonError(error).message;
    }
    this.tell();
  }

  private get patience(): Patience {
    return { clock: this.clock, signal: this.ending.signal };
  }

  private get durationMs(): number {
    return this.options.durationMs ?? DURATION_MS;
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

function refused({ code, message, remedy }: TourbillonError): CheckReport['signaling'] {
  return { state: 'fails', code, reason: remedy ? `${message}: ${remedy}` : message };
}

function randomRoom(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `check-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
