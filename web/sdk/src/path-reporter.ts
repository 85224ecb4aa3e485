import { isSameReport, pathReport, reportedState } from './care.js';
import type { Clock } from './clock.js';
import type { Path } from './path.js';
import type { PathReport } from './protocol.js';

/** Browsers answer with statistics of up to 50 ms ago, and ICE may change its mind more than once. */
const PAIR_SETTLES_MS = 200;

/** What a reporter needs to know of the connection, and whom it tells. */
export interface ReporterContext {
  readonly clock: Clock;
  /** Whether there is a server to tell that looks after this connection. */
  cares(): boolean;
  /** Null where there is no connection. */
  state(): RTCPeerConnectionState | null;
  /** How the packets travel. */
  path(): Promise<Path | null>;
  report(report: PathReport): void;
}

/** Tells a server that looks after connections how the one to a peer stands. */
export class PathReporter {
  /** What the server was told last. */
  private reported: PathReport | null = null;
  /** An ICE restart of this end's is under way, which the server was told. */
  private isRestarting = false;
  private cancelPair: (() => void) | null = null;

  constructor(
    private readonly peer: string,
    private readonly context: ReporterContext,
  ) {}

  say(state: PathReport['state'], path: Path | null = null): void {
    if (!this.context.cares()) return;
    this.reported = pathReport(this.peer, state, path);
    this.context.report(this.reported);
  }

  sayNow(): void {
    const now = this.context.state();
    const state = now && reportedState(now);
    if (state === 'connected') void this.sayConnected();
    else if (state) this.say(state);
  }

  restarting(): void {
    this.isRestarting = true;
    this.say('restarting');
  }

  /** A negotiation is done. A restart of a connection that works, or seems to, need not change its state. */
  negotiated(tellsPairs: boolean): void {
    const isDue = this.isRestarting || (!tellsPairs && this.saidLost);
    this.isRestarting = false;
    if (isDue && this.context.state() === 'connected') this.sayNow();
  }

  pairChanged(): void {
    this.close();
    this.cancelPair = this.context.clock.after(PAIR_SETTLES_MS, () => void this.sayConnected(false));
  }

  close(): void {
    this.cancelPair?.();
  }

  /** The server believes that this end is not connected. */
  private get saidLost(): boolean {
    return this.reported?.state !== 'connected';
  }

  /** Says how the packets travel, unless the connection is lost again by the time that is known. */
  private async sayConnected(always = true): Promise<void> {
    const path = await this.context.path().catch(() => null);
    if (this.context.state() !== 'connected') return;
    if (always || !isSameReport(this.reported, pathReport(this.peer, 'connected', path))) this.say('connected', path);
  }
}
