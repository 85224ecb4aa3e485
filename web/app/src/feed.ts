import type { Hello, State } from './stream-types.js';

/** "locked": the server wants a fresh admin link. */
export type Phase = 'connecting' | 'live' | 'reconnecting' | 'locked';

export interface FeedHandlers {
  phase(phase: Phase): void;
  hello(hello: Hello): void;
  state(state: State): void;
}

const RETRY_MS = 1000;
/** A stream that is silent for so long is dead, even when its socket does not know yet. */
const SILENCE_MS = 5000;

/** The admin stream, opened again after every loss. */
export class Feed {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private phase: Phase = 'connecting';

  constructor(private readonly handlers: FeedHandlers) {}

  open(): void {
    this.drop();
    const source = new EventSource('api/stream');
    this.source = source;
    source.addEventListener('hello', (event) => {
      this.heard();
      this.handlers.hello(JSON.parse(event.data) as Hello);
    });
    source.addEventListener('state', (event) => {
      this.heard();
      this.handlers.state(JSON.parse(event.data) as State);
    });
    source.onerror = () => void this.lost();
    this.expectEvents();
  }

  /** Tries at once when the server wanted a link: the user may have opened one elsewhere. */
  retryIfLocked(): void {
    if (this.phase === 'locked') this.open();
  }

  private heard(): void {
    this.setPhase('live');
    this.expectEvents();
  }

  private expectEvents(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.lost(), SILENCE_MS);
  }

  /** An EventSource hides why it failed, so the status of one plain request tells. */
  private async lost(): Promise<void> {
    this.drop();
    this.setPhase('reconnecting');
    if (await needsLink()) return this.setPhase('locked');
    this.timer = setTimeout(() => this.open(), RETRY_MS);
  }

  private drop(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private setPhase(phase: Phase): void {
    if (phase === this.phase) return;
    this.phase = phase;
    this.handlers.phase(phase);
  }
}

async function needsLink(): Promise<boolean> {
  try {
    return (await fetch('api/state', { signal: AbortSignal.timeout(SILENCE_MS) })).status === 401;
  } catch {
    return false;
  }
}
