import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Disclosure } from './disclosure.js';
import { count, duration, micros, roundTrip } from './format.js';
import type { Fact, Label, Peer, Room } from './stream-types.js';
import { type ColumnSpec, Table } from './table.js';

interface PanelProps {
  title: string;
  note?: string;
  testId: string;
  children: ComponentChildren;
}

export function Panel({ title, note, testId, children }: PanelProps) {
  return (
    <section class="panel" data-testid={testId}>
      <header>
        <h2>{title}</h2>
        {note && <p class="note">{note}</p>}
      </header>
      {children}
    </section>
  );
}

const LABEL_COLUMNS: ColumnSpec<Label>[] = [
  { head: 'Timer', cell: ({ label }) => <code>{label}</code> },
  { head: 'Fires', cell: (row) => <Fires {...row} />, figure: true },
  { head: 'p50', cell: (row) => lateness(row, row.p50_us), figure: true },
  { head: 'p99', cell: (row) => lateness(row, row.p99_us), figure: true },
  { head: 'Max', cell: (row) => lateness(row, row.max_us), figure: true },
];

/** A clock that fires early is broken, so early fires show when there are any. */
function Fires({ total, early }: Label) {
  return (
    <>
      {early > 0 && <small class="bad">{count(early)} early</small>} {count(total)}
    </>
  );
}

export function Labels({ labels }: { labels: Label[] }) {
  const fired = labels.filter(({ total }) => total > 0);
  const silent = labels.filter(({ total }) => total === 0);
  return (
    <Panel title="Timers by purpose" note="Lateness over the last minute, fires since start." testId="labels">
      {fired.length === 0 ? (
        <p class="empty">No timer has fired yet.</p>
      ) : (
        <Table
          caption="Timers by purpose"
          columns={LABEL_COLUMNS}
          rows={fired}
          rowKey={({ label }) => label}
          rowData={({ label }) => ({ 'data-label': label })}
        />
      )}
      {silent.length > 0 && <SilentLabels labels={silent} />}
    </Panel>
  );
}

/** The labels without a fire, in one line until somebody wants to see them. */
function SilentLabels({ labels }: { labels: Label[] }) {
  const [open, setOpen] = useState(false);
  return (
    <div class="silent">
      <Disclosure open={open} controls="silent-labels" onToggle={() => setOpen(!open)} testId="silent">
        {labels.length === 1 ? '1 label has' : `${count(labels.length)} labels have`} not fired
      </Disclosure>
      <ul id="silent-labels" hidden={!open}>
        {labels.map(({ label }) => (
          <li key={label}>
            <code>{label}</code>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface PeerRow {
  room: string;
  peer: Peer;
}

export function Rooms({ rooms, now }: { rooms: Room[]; now: number }) {
  const rows = rooms.flatMap(({ room, peers }) => (peers ?? []).map((peer): PeerRow => ({ room, peer })));
  const columns: ColumnSpec<PeerRow>[] = [
    {
      head: 'Name',
      cell: ({ peer }) => (
        <>
          {peer.name || 'Guest'} {peer.away && <small>away</small>}
        </>
      ),
    },
    { head: 'Room', cell: ({ room }) => room },
    { head: 'Peer', cell: ({ peer }) => <code>{peer.id}</code>, wide: true },
    { head: 'Address', cell: ({ peer }) => <code>{peer.address}</code>, wide: true },
    { head: 'RTT', cell: ({ peer }) => roundTrip(peer.rtt_us), figure: true },
    { head: 'Jitter', cell: ({ peer }) => roundTrip(peer.jitter_us), figure: true },
    { head: 'Here for', cell: ({ peer }) => duration(now - peer.since_ms), figure: true },
  ];
  return (
    <Panel
      title="Rooms"
      note={rows.length > 0 ? `${plural(rows.length, 'peer')} in ${plural(rooms.length, 'room')}` : ''}
      testId="rooms"
    >
      {rows.length === 0 ? (
        <p class="empty">Nobody is in a room. Open the call page.</p>
      ) : (
        <Table
          caption="Peers in rooms"
          columns={columns}
          rows={rows}
          rowKey={({ room, peer }) => `${room}/${peer.id}`}
          rowData={({ peer }) => ({ 'data-peer': peer.id })}
        />
      )}
    </Panel>
  );
}

export function Host({ facts }: { facts: Fact[] }) {
  return (
    <Panel title="Host" note="What bears on jitter." testId="host">
      {facts.length === 0 ? (
        <p class="empty">Nothing is known about this host.</p>
      ) : (
        <dl class="facts">
          {facts.map(({ name, value }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}

function lateness({ fires }: Label, us: number): string {
  return fires > 0 ? micros(us) : '–';
}

export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}
