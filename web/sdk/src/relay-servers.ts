import type { Clock } from './clock.js';
import { type RelayMode, areStale, rtcConfiguration } from './ice-servers.js';
import type { IceServer } from './protocol.js';

/** How long a restart waits for the fresh servers that it asked for. */
const ANSWER_MS = 1000;

/** Keeps the newest ICE servers of a room and asks for fresh ones. */
export class RelayServers {
  private servers: IceServer[] = [];
  private ttl = Infinity;
  private receivedAt = 0;
  private known = false;
  private waiting: (() => void)[] = [];

  constructor(
    private readonly relay: RelayMode | undefined,
    private readonly clock: Clock,
    private readonly ask: () => void,
  ) {}

  /** Takes the server's list; true when it is the first. */
  update(servers: IceServer[] | null, ttlMs: number): boolean {
    const first = !this.known;
    this.known = true;
    this.servers = servers ?? [];
    this.ttl = ttlMs > 0 ? ttlMs : Infinity;
    this.receivedAt = this.clock.now();
    for (const resolve of this.waiting.splice(0)) resolve();
    return first;
  }

  /** The configuration for the forced relay, or else for a route; one without servers is no better than any way. */
  configuration(route?: RelayMode): RTCConfiguration {
    if (this.relay || !route) return rtcConfiguration(this.servers, this.relay);
    const configuration = rtcConfiguration(this.servers, route);
    return configuration.iceServers?.length ? configuration : rtcConfiguration(this.servers);
  }

  /** Whether a forced relay has no server to go through. */
  get lacksRelay(): boolean {
    return this.relay !== undefined && this.configuration().iceServers?.length === 0;
  }

  /** Resolves with servers young enough for a restart, or after a short wait with what there is. */
  async fresh(): Promise<void> {
    if (areStale(this.receivedAt, this.ttl, this.clock.now())) await this.refresh();
  }

  /** Asks for servers with fresh credentials; resolves when they are here, or after a short wait. */
  async refresh(): Promise<void> {
    this.ask();
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(ANSWER_MS, resolve);
      this.waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }
}
