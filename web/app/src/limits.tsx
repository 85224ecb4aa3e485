import { bytes, count } from './format.js';
import { Panel } from './panels.js';
import type { Limit } from './stream-types.js';

type Unit = 'count' | 'rate' | 'bytes';

interface Kind {
  title: string;
  unit: Unit;
  /** What is counted is of all sources together, so that it says little of a limit of each. */
  together?: boolean;
  /** Which limits turned away what is counted here, where it is not this one alone. */
  by?: string;
  /** Where else it is counted what this one turned away. */
  counted?: string;
}

interface Group {
  title: string;
  note: string;
  kinds: Record<string, Kind>;
}

/** What holds for whom, by the settings' names. */
const GROUPS: Group[] = [
  {
    title: 'Whole server',
    note: 'counted over all',
    kinds: {
      allocations: { title: 'Allocations', unit: 'count' },
      server_bytes_per_second: { title: 'Relayed, both ways', unit: 'bytes' },
      unauthenticated_conns: {
        title: 'Connections without login',
        unit: 'count',
        by: 'by this limit or that of a source',
      },
    },
  },
  {
    title: 'Each user or source',
    note: 'of the one with the most',
    kinds: {
      allocations_per_user: { title: 'Allocations of a user', unit: 'count' },
      allocations_per_source: { title: 'Allocations of a source', unit: 'count' },
      challenges_per_second: { title: 'Login challenges', unit: 'rate', together: true },
      bindings_per_second: { title: 'STUN answers', unit: 'rate', together: true },
      unauthenticated_conns_per_source: {
        title: 'Connections without login',
        unit: 'count',
        counted: 'counted with the whole server’s',
      },
    },
  },
  {
    title: 'Each allocation',
    note: 'of the one with the most',
    kinds: {
      peers_per_allocation: { title: 'Peers', unit: 'count' },
      channels_per_allocation: { title: 'Channels', unit: 'count' },
      new_peers_per_second: { title: 'New peers', unit: 'rate' },
      packets_per_second: { title: 'Packets, each way', unit: 'rate' },
      bytes_per_second: { title: 'Relayed, each way', unit: 'bytes' },
    },
  },
];

/** From which share of its ceiling on something is said to be near it. */
const NEAR = 0.8;

export function Limits({ limits }: { limits: Limit[] }) {
  if (limits.length === 0) return null;
  const byName = new Map(limits.map((limit) => [limit.name, limit]));
  const lifted = limits.every(({ ceiling }) => ceiling === null);
  return (
    <Panel title="Relay limits" note={lifted ? 'Limits are off.' : 'In use / ceiling. Set by turn.limits.'} testId="limits">
      <div class="limits">
        {GROUPS.map(({ title, note, kinds }) => (
          <section key={title}>
            <h3>
              {title} <small>{note}</small>
            </h3>
            <dl>
              {Object.entries(kinds).map(([name, kind]) => {
                const limit = byName.get(name);
                return limit && <Row key={name} limit={limit} kind={kind} />;
              })}
            </dl>
          </section>
        ))}
      </div>
    </Panel>
  );
}

function Row({ limit: { name, ceiling, in_use, refused }, kind }: { limit: Limit; kind: Kind }) {
  const share = in_use !== null && ceiling !== null && !kind.together ? Math.min(1, in_use / ceiling) : null;
  return (
    <div data-limit={name} data-near={share !== null && share >= NEAR ? (share >= 1 ? 'full' : 'near') : undefined}>
      <dt>
        {kind.title}
        {refused !== null && refused > 0 && <small class="bad">{turnedAway(refused, kind)}</small>}
        {kind.counted && <small>{kind.counted}</small>}
      </dt>
      <dd>
        {in_use === null ? <small>–</small> : figure(in_use, kind.unit)}
        {in_use !== null && kind.together && <small> in all</small>}
        <small> / </small>
        <span class="ceiling">{ceiling === null ? 'no limit' : `${figure(ceiling, kind.unit)}${PER[kind.unit]}`}</span>
      </dd>
      <dd class={share === null ? 'bar none' : 'bar'} aria-hidden="true">
        {share !== null && <span style={{ width: `${100 * share}%` }} />}
      </dd>
    </div>
  );
}

function turnedAway(refused: number, { by }: Kind): string {
  return `${count(refused)} turned away${by ? `, ${by}` : ''}`;
}

const PER: Record<Unit, string> = { count: '', rate: '/s', bytes: '/s' };

function figure(value: number, unit: Unit): string {
  if (unit === 'bytes') return bytes(Math.round(value));
  return count(value < 9.95 ? Math.round(10 * value) / 10 : Math.round(value));
}
