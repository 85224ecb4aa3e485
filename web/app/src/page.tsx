import type { ComponentChildren } from 'preact';
import { Allocations } from './allocations.js';
import type { Phase } from './feed.js';
import { clockTime, roundTrip } from './format.js';
import type { Columns } from './history.js';
import { LatenessPanel } from './lateness-panel.js';
import { Limits } from './limits.js';
import { Host, Labels, Rooms } from './panels.js';
import { usePolled } from './polled.js';
import type { Hello, Outside, Readiness, SelfCall, State } from './stream-types.js';

export interface PageProps {
  phase: Phase;
  hello: Hello | null;
  state: State | null;
  columns: Columns;
  revision: number;
}

const PHASES: Record<Phase, string> = {
  connecting: 'connecting',
  live: 'live',
  reconnecting: 'reconnecting',
  locked: 'locked',
};

export function Page(props: PageProps) {
  const { phase, hello } = props;
  return (
    <>
      <header class="top">
        <span class="brand">
          <img src="./icon.svg" alt="" width="24" height="24" /> Tourbillon
        </span>
        <h1>Admin</h1>
        {hello && <span class="version">{hello.version}</span>}
        <a class="check-link" href="/check/" target="_blank" rel="noopener" data-testid="check-link">Check a connection</a>
        <span class="phase" data-phase={phase} data-testid="phase" role="status">
          {PHASES[phase]}
        </span>
      </header>
      <main>
        <Body {...props} />
      </main>
    </>
  );
}

function Body({ phase, hello, state, columns, revision }: PageProps) {
  if (phase === 'locked') return <Locked />;
  if (!hello)
    return (
      <p class="empty alone">
        {phase === 'reconnecting' ? 'The server does not answer. Trying again.' : 'Connecting to the server.'}
      </p>
    );
  const now = state?.at_ms ?? 0;
  const live = phase === 'live';
  return (
    <div class={live ? 'grid' : 'grid stale'}>
      {!live && <Gone since={now} />}
      <Strip hello={hello} selfCall={state?.self_call ?? null} outside={state?.outside ?? null} live={live} />
      <LatenessPanel clock={hello.clock} columns={columns} revision={revision} />
      <div class="pair">
        <Labels labels={state?.labels ?? []} />
        <Host facts={hello.host ?? []} />
      </div>
      <Rooms rooms={state?.rooms ?? []} now={now} />
      <Allocations allocations={state?.allocations ?? []} now={now} live={live} />
      <Limits limits={state?.limits ?? []} />
    </div>
  );
}

function Gone({ since }: { since: number }) {
  return (
    <p class="panel gone" data-testid="gone">
      <strong>The server does not answer.</strong> Trying again each second.
      {since > 0 && <span>What is below is as of {clockTime(since)}.</span>}
    </p>
  );
}

function Locked() {
  return (
    <section class="panel locked" data-testid="locked">
      <h2>This page needs a fresh link</h2>
      <p>
        Run <code>tourbillon admin-link</code> on the server and open the link that it prints.
      </p>
    </section>
  );
}

/** How often the server is asked whether it is ready, which has it ask itself. */
const READY_MS = 5000;

interface StripProps {
  hello: Hello;
  selfCall: SelfCall | null;
  outside: Outside | null;
  live: boolean;
}

function Strip({ hello, selfCall, outside, live }: StripProps) {
  const { word, note, mark } = readyWords(usePolled<Readiness>('readyz', READY_MS, live), live);
  return (
    <dl class="strip">
      <Item name="Relay" testId="ready" note={note} mark={mark}>
        {word}
      </Item>
      <Item name="Self call" testId="self-call" note={selfCallNote(selfCall)} mark={selfCall?.status ?? 'starting'}>
        {selfCall?.status ?? 'starting'}
      </Item>
      <Item name="Clock" testId="clock" note={hello.clock_note}>
        {hello.clock}
      </Item>
      <Item
        name="Pion"
        testId="retimed"
        note={hello.retimed ? 'all its timers run on this clock' : 'its timers run on package time'}
      >
        {hello.retimed ? 're-timed' : 'not re-timed'}
      </Item>
      {outside && (
        <Item name="Outside address" testId="outside" note={outsideNote(outside)}>
          <code>{outside.address || 'not known'}</code>
        </Item>
      )}
      <Item name="Server" testId="server" note="changes with a restart">
        <code>{hello.server}</code>
      </Item>
    </dl>
  );
}

interface ItemProps {
  name: string;
  note: string;
  testId: string;
  mark?: string;
  children: ComponentChildren;
}

function Item({ name, note, testId, mark, children }: ItemProps) {
  return (
    <div class="panel" data-testid={testId}>
      <dt>{name}</dt>
      <dd class={mark ? `mark ${mark}` : ''}>{children}</dd>
      <dd class="note">{note}</dd>
    </div>
  );
}

function outsideNote(outside: Outside): string {
  if (outside.problem) return outside.problem;
  if (!outside.address) return 'asking';
  return outside.hairpin ? 'hairpin: packets for it from inside come back' : 'no hairpin: unreachable from inside';
}

function readyWords(readiness: Readiness | null, live: boolean): { word: string; note: string; mark: string } {
  if (!live) return { word: 'no answer', note: 'the server is away', mark: 'failed' };
  if (readiness === null) return { word: 'asking', note: 'whether the server is ready for calls', mark: 'starting' };
  if (readiness.ready) return { word: 'ready', note: 'it answers, and relays', mark: 'connected' };
  return { word: 'not ready', note: readiness.problems.join(' · '), mark: 'failed' };
}

function selfCallNote(selfCall: SelfCall | null): string {
  if (selfCall?.status === 'failed') return selfCall.reason || 'relaying does not work';
  if (selfCall?.status === 'connected') return `through its own relay, ${roundTrip(selfCall.rtt_us)}`;
  return 'calls itself through its relay';
}
