import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type JoinOptions, type Room, type RoomEvents, join } from '../src/index.js';
import type { Joined, PeerInfo, Resumed, ServerMessage } from '../src/protocol.js';
import { FakeConnection, FakeSocket, FakeStream, installFakes, sdp, settle } from './fakes.js';

let room: Room;

const BOB: PeerInfo = { id: 'bob', name: 'Bob', polite: false };
const SEAT = {
  room: 'demo',
  peer: 'ada',
  server: 'one',
  can: ['join', 'publish', 'restart'] satisfies Joined['can'],
  ice_servers: [{ urls: 'turn:h:1?transport=udp', username: 'u', credential: 'c' }],
  ice_ttl_ms: 300_000,
  heartbeat_ms: 1000,
  seat_ms: 30_000,
};
const JOINED: Joined = { type: 'joined', ...SEAT, can: [...SEAT.can], session: 'S1', peers: [BOB] };
const RESUMED: Resumed = { type: 'resumed', ...SEAT, can: [...SEAT.can], session: 'S2', got: 0, replayed: 0 };

beforeEach(() => {
  vi.useFakeTimers();
  installFakes();
});

afterEach(() => {
  room.leave();
  vi.useRealTimers();
});

const receive = (message: ServerMessage): void => FakeSocket.last.receive(message);

async function enter(options: Partial<JoinOptions> = {}, answer: Joined = JOINED): Promise<void> {
  const promise = join({ url: 'ws://test/ws', room: 'demo', statsIntervalMs: 0, ...options });
  FakeSocket.last.open();
  receive(answer);
  room = await promise;
  await settle();
}

/** Opens the next socket and has the session resumed there. */
async function resume(change: Partial<Resumed> = {}): Promise<void> {
  await vi.advanceTimersByTimeAsync(250);
  FakeSocket.last.open();
  receive({ ...RESUMED, ...change });
  await settle();
}

async function connect(): Promise<void> {
  receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
  await settle();
  FakeConnection.last.become('connected');
}

function record<K extends keyof RoomEvents>(event: K): RoomEvents[K][] {
  const seen: RoomEvents[K][] = [];
  room.on(event, (value) => seen.push(value));
  return seen;
}

const chat = (n: number, text: string): ServerMessage => ({ type: 'message', n, from: 'bob', data: text });

describe('a dropped socket', () => {
  it('is followed by one that resumes from the last number seen, with the latest session', async () => {
    await enter();
    receive(chat(1, 'one'));
    receive(chat(2, 'two'));
    FakeSocket.last.drop();
    await resume();
    expect(FakeSocket.last.sent).toEqual([
      { type: 'hello', client: 'tourbillon-web/1', class: 'browser' },
      { type: 'resume', session: 'S1', last: 2 },
    ]);
    expect(room.state).toBe('joined');
    receive({ type: 'ping', seq: 1, rtt_us: 1 }); // Ends the back-off.
    FakeSocket.last.drop();
    await resume();
    expect(FakeSocket.last.sentOf('resume')[0]).toMatchObject({ session: 'S2', last: 2 });
  });

  it('loses nothing of what others say, and repeats nothing', async () => {
    await enter();
    const heard = record('message');
    const resumed = record('resumed');
    receive(chat(1, 'one'));
    FakeSocket.last.drop();
    await resume({ replayed: 2 });
    for (const [n, text] of [[1, 'one'], [2, 'two'], [3, 'three']] as const) receive(chat(n, text));
    expect(heard.map(({ data }) => data)).toEqual(['one', 'two', 'three']);
    expect(resumed).toEqual([{ replayed: 2 }]);
  });

  it('has what the server did not get sent again, and what was said meanwhile', async () => {
    await enter();
    for (const text of ['one', 'two', 'three']) room.message(text);
    receive({ type: 'ping', seq: 1, rtt_us: 1, got: 1 });
    FakeSocket.last.drop();
    room.message('four');
    await resume({ got: 2 });
    expect(FakeSocket.last.sentOf('message').map(({ n, data }) => [n, data])).toEqual([
      [3, 'three'],
      [4, 'four'],
    ]);
  });

  it('leaves the calls alone', async () => {
    await enter();
    await connect();
    const left = record('peer-left');
    FakeSocket.last.drop();
    await resume();
    await vi.advanceTimersByTimeAsync(2000);
    expect(FakeConnection.all).toHaveLength(1);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    expect(left).toEqual([]);
  });

  it('has a call mended afterwards that broke meanwhile', async () => {
    await enter();
    await connect();
    FakeSocket.last.drop();
    FakeConnection.last.become('failed');
    await settle();
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    await resume();
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('ends the room when another window has the session', async () => {
    await enter();
    const errors = record('error');
    FakeSocket.last.drop(4001);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(room.state).toBe('left');
    expect(errors).toMatchObject([{ code: 'replaced', fatal: true }]);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it.each(['session-unknown', 'session-used', 'replay-lost', 'bad-session'])('joins anew after %s', async (code) => {
    await enter();
    room.message('lost with the server');
    FakeSocket.last.drop();
    room.message('waited');
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    receive({ type: 'error', code, message: 'no', remedy: 'join', fatal: false });
    const join = FakeSocket.last.sentOf('join')[0];
    expect(join?.session).toBe(code === 'bad-session' ? undefined : 'S1');
    receive({ ...JOINED, server: 'two' });
    // Numbers begin anew; what may have arrived is not said twice.
    expect(FakeSocket.last.sentOf('message')).toMatchObject([{ n: 1, data: 'waited' }]);
  });

  /** Loses the session, so that the next thing said is a join. */
  async function loseSession(): Promise<void> {
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    receive({ type: 'error', code: 'session-unknown', message: 'no', remedy: 'join', fatal: false });
    expect(FakeSocket.last.sentOf('join')).toHaveLength(1);
  }

  it('ends the room when what a later join says is refused, which would be so again', async () => {
    await enter();
    const errors = record('error');
    await loseSession();
    receive({ type: 'error', code: 'bad-message', message: 'nested', remedy: 'send a flat JSON object', fatal: false });
    expect(room.state).toBe('left');
    expect(errors).toMatchObject([{ code: 'bad-message', message: 'nested', fatal: true }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it.each(['session-used', 'not-joined'])('tries again when a later join is refused with %s, which passes', async (code) => {
    await enter();
    await loseSession();
    receive({ type: 'error', code, message: 'no', remedy: 'wait', fatal: false });
    expect(room.state).toBe('reconnecting');
    await vi.advanceTimersByTimeAsync(12_000);
    expect(FakeSocket.all.length).toBeGreaterThan(2);
  });

  it('waits for a later socket when the join is refused for the moment', async () => {
    await enter();
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    receive({ type: 'error', code: 'rate-limited', message: 'slow', remedy: 'wait', fatal: false });
    expect(room.state).toBe('reconnecting');
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.all).toHaveLength(3);
  });
});

describe('the network', () => {
  it('that is back is tried at once', async () => {
    await enter();
    FakeSocket.last.drop();
    window.dispatchEvent(new Event('online'));
    expect(FakeSocket.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(300);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('of another type restarts calls, another estimate of its speed does not', async () => {
    const network = Object.assign(new EventTarget(), { type: 'wifi' });
    vi.stubGlobal('navigator', { connection: network });
    await enter();
    await connect();
    network.dispatchEvent(new Event('change'));
    await settle();
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    network.type = 'cellular';
    network.dispatchEvent(new Event('change'));
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });
});

describe('restarts', () => {
  it('are asked for by the polite side, which would have to wait', async () => {
    await enter({}, { ...JOINED, peers: [{ ...BOB, polite: true }] });
    FakeConnection.last.become('failed');
    expect(FakeSocket.last.sentOf('restart')).toMatchObject([{ to: 'bob', reason: 'failed' }]);
  });

  it('are not asked for where the token does not allow it', async () => {
    await enter({}, { ...JOINED, can: ['join'], peers: [{ ...BOB, polite: true }] });
    FakeConnection.last.become('failed');
    expect(FakeSocket.last.sentOf('restart')).toEqual([]);
  });

  it('are done when asked for, once', async () => {
    await enter();
    await connect();
    receive({ type: 'restart', from: 'bob', reason: 'network' });
    receive({ type: 'restart', from: 'bob', reason: 'network' });
    await settle();
    receive({ type: 'restart', from: 'bob', reason: 'network' });
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });
});

describe('what is sent', () => {
  it('stays below the rate that the server takes, and loses nothing to it', async () => {
    await enter();
    receive({
      type: 'welcome',
      server: 'one',
      heartbeat_ms: 1000,
      seat_ms: 30_000,
      limits: { message_bytes: 65536, sdp_bytes: 32768, data_bytes: 8, messages_per_s: 10, burst: 10 },
    });
    for (let i = 0; i < 20; i++) room.message(i);
    expect(FakeSocket.last.sentOf('message').length).toBeLessThanOrEqual(8);
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.last.sentOf('message').length).toBeLessThanOrEqual(12);
    await vi.advanceTimersByTimeAsync(1500);
    receive({ type: 'ping', seq: 1, rtt_us: 1 });
    expect(FakeSocket.last.sentOf('message').map(({ data }) => data)).toEqual([...Array(20).keys()]);
  });

  it('is refused here when it is not allowed', async () => {
    await enter({}, { ...JOINED, can: ['join'] });
    expect(() => room.message('x')).toThrow(expect.objectContaining({ code: 'not-allowed' }));
    expect(() => room.update({ name: 'x' })).toThrow(expect.objectContaining({ code: 'not-allowed' }));
  });

  it('names its message in an error', async () => {
    await enter();
    const errors = record('error');
    const id = room.message('x', 'nobody');
    receive({ type: 'error', re: id, code: 'unknown-peer', message: 'no', remedy: 'x', fatal: false });
    expect(errors).toMatchObject([{ code: 'unknown-peer', re: id }]);
  });

  it('does not grow without end while the server is away', async () => {
    await enter();
    const errors = record('error');
    FakeSocket.last.drop();
    for (let i = 0; i < 600; i++) room.message(i);
    expect(errors[0]).toMatchObject({ code: 'overflow' });
  });
});

it('is not stopped by a server that acknowledges nothing', async () => {
  await enter();
  const errors = record('error');
  for (let i = 0; i < 1200; i++) {
    room.message(i);
    await vi.advanceTimersByTimeAsync(100);
    if (i % 10 === 0) receive({ type: 'ping', seq: i, rtt_us: 1 });
  }
  expect(errors).toEqual([]);
  expect(FakeSocket.last.sentOf('message')).toHaveLength(1200);
});

describe('peers', () => {
  it('are away and back, and change what they show', async () => {
    await enter();
    const bob = room.peers.get('bob');
    const seen: unknown[] = [];
    bob?.on('away', (away) => seen.push(away));
    bob?.on('updated', () => seen.push(bob.name, bob.metadata));
    receive({ type: 'peer-away', n: 1, peer: 'bob', reason: 'closed', seat_ms: 30_000 });
    receive({ type: 'peer-back', n: 2, peer: 'bob' });
    receive({ type: 'peer-updated', n: 3, peer: 'bob', name: 'Bob L.', metadata: { hand: true } });
    expect(seen).toEqual([true, false, 'Bob L.', { hand: true }]);
  });

  it('get streams that are published later, and lose them', async () => {
    await enter();
    await connect();
    const track = { kind: 'video' };
    const stream = new FakeStream();
    stream.addTrack(track);
    room.publish(stream as unknown as MediaStream);
    room.publish(stream as unknown as MediaStream);
    expect(FakeConnection.last.senders).toMatchObject([{ track }]);
    const next = { kind: 'video', id: 'next' };
    await room.replaceTrack(track as MediaStreamTrack, next as MediaStreamTrack);
    expect(FakeConnection.last.senders).toMatchObject([{ track: next }]);
    expect(stream.getTracks()).toEqual([next]);
    room.unpublish(stream as unknown as MediaStream);
    expect(FakeConnection.last.senders).toEqual([]);
  });

  it('have their streams apart and as one', async () => {
    await enter();
    await connect();
    const bob = room.peers.get('bob');
    const screen = new FakeStream();
    const track = { kind: 'video' };
    screen.addTrack(track);
    FakeConnection.last.ontrack?.({ track, streams: [screen] });
    const seen: string[] = [];
    bob?.on('stream', ({ id }) => seen.push(id));
    bob?.on('stream-removed', ({ id }) => seen.push(`-${id}`));
    expect(bob?.stream.getTracks()).toEqual([track]);
    screen.removeTrack(track);
    screen.dispatchEvent(Object.assign(new Event('removetrack'), { track }));
    expect(seen).toEqual([screen.id, `-${screen.id}`]);
    expect(bob?.stream.getTracks()).toEqual([]);
  });

  it('open data channels', async () => {
    await enter();
    const bob = room.peers.get('bob');
    expect(() => bob?.openChannel('files')).toThrow(expect.objectContaining({ code: 'not-connected' }));
    await connect();
    const seen: unknown[] = [];
    bob?.on('channel', ({ label }) => seen.push(label));
    FakeConnection.last.ondatachannel?.({ channel: { label: 'files' } });
    expect(seen).toEqual(['files']);
    expect(bob?.openChannel('files')).toBeDefined();
  });
});

describe('statistics', () => {
  const report = (bytes: number, packets: number, lost: number): [string, unknown][] => [
    ['T', { id: 'T', type: 'transport', selectedCandidatePairId: 'P', bytesSent: bytes, bytesReceived: 2 * bytes }],
    ['P', { id: 'P', type: 'candidate-pair', currentRoundTripTime: 0.012 }],
    ['I', { id: 'I', type: 'inbound-rtp', packetsReceived: packets, packetsLost: lost, jitter: 0.0034 }],
  ];

  it('go to the server every so often, with what changed since', async () => {
    await enter({ statsIntervalMs: 1000 });
    await connect();
    FakeConnection.last.stats = report(0, 0, 0);
    await vi.advanceTimersByTimeAsync(1000);
    FakeConnection.last.stats = report(1000, 90, 10);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last.sentOf('stats').map((message) => 'stats' in message && message.stats)).toEqual([
      { bob: { state: 'connected', path: 'direct', rtt_ms: 12, jitter_ms: 3.4 } },
      {
        bob: {
          state: 'connected',
          path: 'direct',
          rtt_ms: 12,
          jitter_ms: 3.4,
          lost: 0.1,
          send_kbps: 8,
          receive_kbps: 16,
        },
      },
    ]);
  });

  it('end with the room', async () => {
    await enter({ statsIntervalMs: 1000 });
    room.leave();
    await vi.advanceTimersByTimeAsync(5000);
    expect(FakeSocket.last.sentOf('stats')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('runs on the clock that it is given, and leaves nothing behind', async () => {
  let now = 0;
  const waiting = new Set<{ at: number; f(): void }>();
  const clock = {
    now: () => now,
    random: () => 0,
    after(ms: number, f: () => void) {
      const entry = { at: now + ms, f };
      waiting.add(entry);
      return () => void waiting.delete(entry);
    },
  };
  const advance = (ms: number): void => {
    now += ms;
    for (const entry of [...waiting]) {
      if (entry.at > now || !waiting.delete(entry)) continue;
      entry.f();
    }
  };
  await enter({ clock });
  FakeSocket.last.drop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(FakeSocket.all).toHaveLength(1);
  advance(100);
  expect(FakeSocket.all).toHaveLength(2);
  room.leave();
  expect(waiting.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

it('says that the server is stopping', async () => {
  await enter();
  const notices = record('draining');
  receive({ type: 'bye', reason: 'shutdown', closing_in_ms: 120, retry_after_ms: 500 });
  expect(notices).toEqual([{ closingInMs: 120, retryAfterMs: 500 }]);
});

it('has fresh credentials put into running connections', async () => {
  await enter();
  await connect();
  const refreshed = record('refreshed');
  const asked = room.refresh();
  expect(FakeSocket.last.sentOf('ice-servers')).toHaveLength(1);
  receive({ type: 'ice-servers', ice_servers: [{ urls: 'turn:new' }], ice_ttl_ms: 1000 });
  await asked;
  expect(FakeConnection.last.configurations.at(-1)).toEqual({ iceServers: [{ urls: 'turn:new' }] });
  expect(refreshed).toHaveLength(1);
});

it('beats at another interval when the server says so', async () => {
  await enter();
  receive({ type: 'heartbeat', heartbeat_ms: 100 });
  await vi.advanceTimersByTimeAsync(1500);
  expect(room.state).toBe('reconnecting');
});
