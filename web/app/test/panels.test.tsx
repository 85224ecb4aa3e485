import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Allocations } from '../src/allocations.js';
import { Limits } from '../src/limits.js';
import { Page } from '../src/page.js';
import { Labels } from '../src/panels.js';
import type { Allocation, AllocationDetail, Hello, Label, Limit, Readiness } from '../src/stream-types.js';

/** Draws on a canvas, which the tests in the browser look at. */
vi.mock('../src/chart.js', () => ({ Chart: () => null }));

let host: HTMLElement;
beforeEach(() => {
  vi.useFakeTimers();
  host = document.body.appendChild(document.createElement('div'));
});
afterEach(() => {
  render(null, host);
  host.remove();
  vi.useRealTimers();
});

const show = (element: Parameters<typeof render>[0]): Promise<void> => act(() => render(element, host));
const button = (): HTMLButtonElement => host.querySelector('button') as HTMLButtonElement;
const click = (): Promise<void> => act(() => button().click());
const text = (selector: string): string | undefined => host.querySelector(selector)?.textContent?.replace(/\s+/g, ' ').trim();
/** Lets what was asked for come. */
const later = (ms = 0): Promise<void> => act(async () => void (await vi.advanceTimersByTimeAsync(ms)));

describe('the timers by purpose', () => {
  const label = (name: string, total: number): Label => ({ label: name, total, early: 0, fires: 0, p50_us: 0, p99_us: 0, max_us: 0 });

  it('folds those without a fire into one line that opens', async () => {
    await show(<Labels labels={[label('a', 3), label('b', 0), label('c', 0)]} />);
    expect([...host.querySelectorAll('tr[data-label]')].map((row) => row.getAttribute('data-label'))).toEqual(['a']);
    expect(button().textContent).toBe('2 labels have not fired');
    expect(button().getAttribute('aria-expanded')).toBe('false');
    const list = host.querySelector('#silent-labels') as HTMLElement;
    expect(list.hidden).toBe(true);
    await click();
    expect(button().getAttribute('aria-expanded')).toBe('true');
    expect(button().getAttribute('aria-controls')).toBe(list.id);
    expect(list.hidden).toBe(false);
    expect([...list.children].map((item) => item.textContent)).toEqual(['b', 'c']);
    await click();
    expect(list.hidden).toBe(true);
  });

  it('shows early fires when there are any', async () => {
    await show(<Labels labels={[label('a', 1234), { ...label('b', 5), early: 2 }]} />);
    expect([...host.querySelectorAll('td:nth-child(2)')].map((cell) => cell.textContent?.trim())).toEqual(['1,234', '2 early 5']);
  });

  it('has no such line when all have fired, and says when none has', async () => {
    await show(<Labels labels={[label('a', 3)]} />);
    expect(host.querySelector('button')).toBeNull();
    await show(<Labels labels={[label('b', 0)]} />);
    expect(text('.empty')).toBe('No timer has fired yet.');
    expect(button().textContent).toBe('1 label has not fired');
  });
});

describe('the allocations', () => {
  const nothing = { packets: 0, bytes: 0 };
  const row: Allocation = {
    client: '10.0.0.1:1', relay: '10.0.0.2:2', transport: 'udp', user: 'ada', since_ms: 0, channels: 1,
    to_peers: nothing, from_peers: nothing, denied: 3,
  };
  const detail: AllocationDetail = {
    client: row.client, relay: row.relay, server: '10.0.0.9:3478', expires_ms: 600_000,
    peers: [{ address: '10.0.0.7', expires_ms: 120_000 }],
    channels: [{ number: 0x4000, peer: '10.0.0.7:9', expires_ms: 240_000 }],
    drop_reasons: { 'peer-denied': 3, 'no-permission': 0 },
  };

  it('open one by one, and are asked for only while one is open', async () => {
    const ask = vi.fn(async () => ({ status: 200, json: async () => [detail] }));
    vi.stubGlobal('fetch', ask);
    await show(<Allocations allocations={[row]} now={0} live />);
    await later(5000);
    expect(ask).not.toHaveBeenCalled();
    await click();
    await later();
    expect(text('[data-testid=allocation-detail]')).toBe(
      'Listener10.0.0.9:3478Endsin 10 min, unless it is refreshedPeers permitted10.0.0.7 2 min' +
        'Channels0x4000 to 10.0.0.7:9 4 minPackets droppedpeer-denied 3',
    );
    await later(4000);
    expect(ask).toHaveBeenCalledTimes(3);
    await click();
    expect(host.querySelector('[data-testid=allocation-detail]')).toBeNull();
    await later(4000);
    expect(ask).toHaveBeenCalledTimes(3);
  });

  it('keep what was there when the server does not answer', async () => {
    let gone = false;
    vi.stubGlobal('fetch', async () => {
      if (gone) throw new TypeError('failed to fetch');
      return { status: 200, json: async () => [detail] };
    });
    await show(<Allocations allocations={[row]} now={0} live />);
    await click();
    await later();
    gone = true;
    await later(4000);
    expect(text('[data-testid=allocation-detail]')).toContain('10.0.0.9:3478');
  });
});

describe('the limits', () => {
  const limit = (name: string, in_use: number | null, ceiling: number | null, refused: number | null = 0): Limit => ({
    name, in_use, ceiling, refused,
  });
  const row = (name: string): string | undefined => text(`[data-limit=${name}]`);
  const near = (name: string): string | null | undefined =>
    host.querySelector(`[data-limit=${name}]`)?.getAttribute('data-near');
  const filled = (name: string): string | undefined =>
    host.querySelector<HTMLElement>(`[data-limit=${name}] .bar span`)?.style.width;

  it('stand beside what is in use, with what they turned away', async () => {
    await show(
      <Limits
        limits={[
          limit('allocations', 250, 1000),
          limit('allocations_per_user', 12, 12, 1234),
          limit('allocations_per_source', 40, 50),
          limit('packets_per_second', 7.94, 10_000),
          limit('server_bytes_per_second', 2_500_000, 1_250_000_000),
          limit('challenges_per_second', 30, 10, 5),
          limit('new_peers_per_second', null, 5),
          limit('peers_per_allocation', 3, null),
        ]}
      />,
    );
    expect(row('allocations')).toBe('Allocations250 / 1,000');
    expect([filled('allocations'), near('allocations')]).toEqual(['25%', null]);
    expect(row('allocations_per_user')).toBe('Allocations of a user1,234 turned away12 / 12');
    expect([filled('allocations_per_user'), near('allocations_per_user')]).toEqual(['100%', 'full']);
    expect(near('allocations_per_source')).toBe('near');
    expect(row('packets_per_second')).toBe('Packets, each way7.9 / 10,000/s');
    expect(row('server_bytes_per_second')).toBe('Relayed, both ways2.5 MB / 1.3 GB/s');
    expect(row('challenges_per_second')).toBe('Login challenges5 turned away30 in all / 10/s');
    expect([filled('challenges_per_second'), near('challenges_per_second')]).toEqual([undefined, null]);
    expect(row('new_peers_per_second')).toBe('New peers– / 5/s');
    expect(row('peers_per_allocation')).toBe('Peers3 / no limit');
  });

  it('name both limits that may have turned a connection without login away, which are counted together', async () => {
    await show(
      <Limits
        limits={[limit('unauthenticated_conns', 3, 1000, 7), limit('unauthenticated_conns_per_source', null, 20, null)]}
      />,
    );
    expect(row('unauthenticated_conns')).toBe(
      'Connections without login7 turned away, by this limit or that of a source3 / 1,000',
    );
    expect(row('unauthenticated_conns_per_source')).toBe('Connections without logincounted with the whole server’s– / 20');
  });

  it('are said to be off where all are', async () => {
    await show(<Limits limits={[limit('allocations', 3, null)]} />);
    expect(text('[data-testid=limits] header')).toContain('Limits are off.');
  });
});

describe('the page', () => {
  const hello: Hello = {
    version: '1', server: 's', clock: 'hrtimer', clock_note: '', retimed: true, host: null, period_ms: 500, history: null,
  };
  const columns = { t: [], injectedP50: [], injectedP99: [], controlP50: [], controlP99: [] };
  const page = (phase: 'live' | 'reconnecting', known: Hello | null) => (
    <Page phase={phase} hello={known} state={null} columns={columns} revision={0} />
  );

  it.each<[Readiness, string]>([
    [{ ready: true, problems: [] }, 'Relayreadyit answers, and relays'],
    [{ ready: false, problems: ['one thing', 'another'] }, 'Relaynot readyone thing · another'],
  ])('says whether the server is ready: %j', async (readiness, words) => {
    vi.stubGlobal('fetch', async () => ({ status: 200, json: async () => readiness }));
    await show(page('live', hello));
    expect(text('[data-testid=ready]')).toContain('asking');
    await later();
    expect(text('[data-testid=ready]')).toBe(words);
  });

  it('says when the server is gone, and no more when it is back', async () => {
    vi.stubGlobal('fetch', () => new Promise(() => undefined));
    await show(page('reconnecting', null));
    expect(text('main')).toBe('The server does not answer. Trying again.');
    await show(page('reconnecting', hello));
    expect(text('[data-testid=gone]')).toContain('The server does not answer.');
    await show(page('live', hello));
    expect(host.querySelector('[data-testid=gone]')).toBeNull();
  });
});
