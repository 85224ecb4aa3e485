import type { ComponentChildren } from 'preact';
import type { Phase } from './feed.js';
import { roundTrip } from './format.js';
import type { Columns } from './history.js';
import { LatenessPanel } from './lateness-panel.js';
import { Allocations, Host, Labels, Rooms } from './panels.js';
import type { Hello, Outside, SelfCall, State } from './stream-types.js';

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
        <h1>
          <img src="./icon.svg" alt="" width="28" height="28" /> Tourbillon
        </h1>
        {hello && <span class="version">{hello.version}</span>}
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
  return (
    <div class={phase === 'live' ? 'grid' : 'grid stale'}>
      <Strip hello={hello} selfCall={state?.self_call ?? null} outside={state?.outside ?? null} />
      <LatenessPanel clock={hello.clock} columns={columns} revision={revision} />
      <div class="pair">
        <Labels labels={state?.labels ?? []} />
        <Host facts={hello.host ?? []} />
      </div>
      <Rooms rooms={state?.rooms ?? []} now={now} />
      <Allocations allocations={state?.allocations ?? []} now={now} />
    </div>
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

function Strip({ hello, selfCall, outside }: { hello: Hello; selfCall: SelfCall | null; outside: Outside | null }) {
  return (
    <dl class="strip">
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
      <Item name="Self call" testId="self-call" note={selfCallNote(selfCall)} mark={selfCall?.status ?? 'starting'}>
        {selfCall?.status ?? 'starting'}
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
    <div data-testid={testId}>
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

function selfCallNote(selfCall: SelfCall | null): string {
  if (selfCall?.status === 'failed') return selfCall.reason || 'relaying does not work';
  if (selfCall?.status === 'connected') return `through its own relay, ${roundTrip(selfCall.rtt_us)}`;
  return 'calls itself through its relay';
}
