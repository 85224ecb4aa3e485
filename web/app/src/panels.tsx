import type { ComponentChildren } from 'preact';
import { bytes, count, duration, micros, roundTrip } from './format.js';
import type { Allocation, Fact, Label, Peer, Room, Traffic } from './stream-types.js';
import { type ColumnSpec, Table } from './table.js';

interface PanelProps {
  title: string;
  note?: string;
  testId: string;
  children: ComponentChildren;
}

function Panel({ title, note, testId, children }: PanelProps) {
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
  { head: 'Fires', cell: ({ total }) => count(total), figure: true },
  { head: 'p50', cell: (row) => lateness(row, row.p50_us), figure: true },
  { head: 'p99', cell: (row) => lateness(row, row.p99_us), figure: true },
  { head: 'Max', cell: (row) => lateness(row, row.max_us), figure: true },
  { head: 'Early', cell: ({ early }) => <span class={early > 0 ? 'bad' : ''}>{count(early)}</span>, figure: true },
];

export function Labels({ labels }: { labels: Label[] }) {
  return (
    <Panel title="Timers by purpose" note="Lateness over the last minute, fires since start." testId="labels">
      {labels.length === 0 ? (
        <p class="empty">No timer has fired yet.</p>
      ) : (
        <Table
          caption="Timers by purpose"
          columns={LABEL_COLUMNS}
          rows={labels}
          rowKey={({ label }) => label}
          rowData={({ label }) => ({ 'data-label': label })}
        />
      )}
    </Panel>
  );
}

interface PeerRow {
  room: string;
  peer: Peer;
}

export function Rooms({ rooms, now }: { rooms: Room[]; now: number }) {
  const rows = rooms.flatMap(({ room, peers }) => (peers ?? []).map((peer): PeerRow => ({ room, peer })));
  const columns: ColumnSpec<PeerRow>[] = [
    { head: 'Name', cell: ({ peer }) => peer.name || 'Guest' },
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

export function Allocations({ allocations, now }: { allocations: Allocation[]; now: number }) {
  const columns: ColumnSpec<Allocation>[] = [
    { head: 'Client', cell: ({ client }) => <code>{client}</code> },
    { head: 'Over', cell: ({ transport }) => transport },
    { head: 'Relay', cell: ({ relay }) => <code>{relay}</code>, wide: true },
    { head: 'User', cell: ({ user }) => <code class="long">{user}</code>, wide: true },
    { head: 'To peers', cell: ({ to_peers }) => <Flow traffic={to_peers} />, figure: true, wide: true },
    { head: 'From peers', cell: ({ from_peers }) => <Flow traffic={from_peers} />, figure: true, wide: true },
    { head: 'Channels', cell: ({ channels }) => count(channels), figure: true },
    {
      head: 'Denied',
      cell: ({ denied }) => <span class={denied > 0 ? 'bad' : ''}>{count(denied)}</span>,
      figure: true,
    },
    { head: 'Open for', cell: ({ since_ms }) => duration(now - since_ms), figure: true },
  ];
  return (
    <Panel
      title="Relay allocations"
      note={allocations.length > 0 ? `${allocations.length} open` : ''}
      testId="allocations"
    >
      {allocations.length === 0 ? (
        <p class="empty">Nothing is relayed now. Calls take the direct path while there is one.</p>
      ) : (
        <Table
          caption="Relay allocations"
          columns={columns}
          rows={allocations}
          rowKey={({ client, relay }) => `${client} ${relay}`}
          rowData={({ to_peers, from_peers }) => ({ 'data-bytes': to_peers.bytes + from_peers.bytes })}
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

function Flow({ traffic }: { traffic: Traffic }) {
  return (
    <>
      {bytes(traffic.bytes)} <small>{count(traffic.packets)} pkt</small>
    </>
  );
}

function lateness({ fires }: Label, us: number): string {
  return fires > 0 ? micros(us) : '–';
}

function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}
