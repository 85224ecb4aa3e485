import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Disclosure } from './disclosure.js';
import { bytes, count, duration } from './format.js';
import { Panel } from './panels.js';
import { usePolled } from './polled.js';
import type { Allocation, AllocationDetail, Traffic } from './stream-types.js';
import { type ColumnSpec, Table } from './table.js';

/** How often the details of an open row are asked for. */
const DETAIL_MS = 2000;

export function Allocations({ allocations, now, live }: { allocations: Allocation[]; now: number; live: boolean }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const shown = allocations.some((row) => open.has(keyOf(row)));
  const details = usePolled<AllocationDetail[]>('api/allocations', DETAIL_MS, live && shown);
  const columns: ColumnSpec<Allocation>[] = [
    {
      head: 'Client',
      cell: (row) => (
        <Disclosure open={open.has(keyOf(row))} controls={idOf(row)} onToggle={() => setOpen(toggled(open, keyOf(row)))}>
          <code>{row.client}</code>
        </Disclosure>
      ),
    },
    { head: 'Over', cell: ({ transport }) => transport },
    { head: 'Open for', cell: ({ since_ms }) => duration(now - since_ms) },
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
          rowKey={(row) => keyOf(row)}
          rowData={({ to_peers, from_peers }) => ({ 'data-bytes': to_peers.bytes + from_peers.bytes })}
          detail={(row) =>
            open.has(keyOf(row)) && (
              <div id={idOf(row)}>
                <Detail detail={details?.find((detail) => keyOf(detail) === keyOf(row))} now={now} />
              </div>
            )
          }
        />
      )}
    </Panel>
  );
}

function keyOf({ client, relay }: { client: string; relay: string }): string {
  return `${client} ${relay}`;
}

/** Ids hold no spaces. */
function idOf(row: Allocation): string {
  return `allocation-${keyOf(row).replace(' ', '-')}`;
}

function toggled(open: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(open);
  if (!next.delete(key)) next.add(key);
  return next;
}

function Detail({ detail, now }: { detail: AllocationDetail | undefined; now: number }) {
  if (!detail) return <p class="note">Asking the server.</p>;
  const drops = Object.entries(detail.drop_reasons ?? {}).filter(([, packets]) => packets > 0);
  return (
    <dl class="details" data-testid="allocation-detail">
      <Entry name="Listener">
        <code>{detail.server}</code>
      </Entry>
      <Entry name="Ends">
        in {duration(detail.expires_ms - now)}, unless it is refreshed
      </Entry>
      <Entry name="Peers permitted">
        <List
          items={detail.peers.map(({ address, expires_ms }) => ({ text: address, note: duration(expires_ms - now) }))}
          none="None yet."
        />
      </Entry>
      <Entry name="Channels">
        <List
          items={detail.channels.map(({ number, peer, expires_ms }) => ({
            text: `0x${number.toString(16)} to ${peer}`,
            note: duration(expires_ms - now),
          }))}
          none="None yet."
        />
      </Entry>
      <Entry name="Packets dropped">
        <List items={drops.map(([reason, packets]) => ({ text: reason, note: count(packets) }))} none="None." />
      </Entry>
    </dl>
  );
}

function Entry({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function List({ items, none }: { items: { text: string; note: string }[]; none: string }) {
  if (items.length === 0) return <>{none}</>;
  return (
    <ul>
      {items.map(({ text, note }) => (
        <li key={text}>
          <code>{text}</code> <small>{note}</small>
        </li>
      ))}
    </ul>
  );
}

function Flow({ traffic }: { traffic: Traffic }) {
  return (
    <>
      {bytes(traffic.bytes)} <small>{count(traffic.packets)} pkt</small>
    </>
  );
}
