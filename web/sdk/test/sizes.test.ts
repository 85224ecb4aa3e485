import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Room, type RoomEvents, TooLargeError, TourbillonError, join } from '../src/index.js';
import { Outbox } from '../src/outbox.js';
import type { ClientMessage, Joined, Limits, PeerInfo, Resumed, ServerMessage } from '../src/protocol.js';
import { excess } from '../src/sizes.js';
import { FakeConnection, FakeSocket, installFakes, sdp, settle } from './fakes.js';

const LIMITS: Limits = { message_bytes: 4096, sdp_bytes: 2048, data_bytes: 1024, messages_per_s: 20, burst: 60 };
/** What a server tells that has another's limits in truth. */
const LAVISH: Limits = { ...LIMITS, message_bytes: 1 << 20, sdp_bytes: 1 << 20, data_bytes: 1 << 20 };
const BOB: PeerInfo = { id: 'bob', name: 'Bob', polite: false };
const SEAT = {
  room: 'demo',
  peer: 'ada',
  server: 'one',
  can: ['join', 'publish', 'restart'] satisfies Joined['can'],
  ice_servers: [{ urls: 'stun:h:1' }],
  ice_ttl_ms: 300_000,
  heartbeat_ms: 1000,
};
const JOINED: Joined = { type: 'joined', ...SEAT, can: [...SEAT.can], session: 'S1', peers: [BOB] };
const RESUMED: Resumed = { type: 'resumed', ...SEAT, can: [...SEAT.can], session: 'S2', got: 0, replayed: 0 };
const REFUSED: ServerMessage = {
  type: 'error',
  code: 'too-large',
  message: 'message of 100000 bytes',
  remedy: 'send at most 65536 bytes in one message',
  fatal: true,
};

const text = (bytes: number): string => 'x'.repeat(bytes);
const size = (message: ClientMessage): number => JSON.stringify(message).length;

describe('excess', () => {
  const found = (message: ClientMessage, limits: Partial<Limits> | null = LIMITS): unknown[] | null => {
    const error = excess(message, limits);
    return error && [error.field, error.bytes, error.limit];
  };
  const offer = (description: string): ClientMessage => ({ type: 'offer', to: 'bob', sdp: description, n: 1 });

  it('takes what is as large as may be, and no more', () => {
    expect(found(offer(text(2048)))).toBeNull();
    expect(found(offer(text(2049)))).toEqual(['sdp', 2049, 2048]);
    expect(found({ type: 'message', data: text(1022) })).toBeNull();
    expect(found({ type: 'message', data: text(1023) })).toEqual(['data', 1025, 1024]);
    const candidate = { candidate: '' };
    const rest = JSON.stringify(candidate).length;
    expect(found({ type: 'candidate', to: 'bob', candidate: { candidate: text(4096 - rest) } }, null)).toBeNull();
    expect(found({ type: 'candidate', to: 'bob', candidate: { candidate: text(4097 - rest) } }, null)).toEqual([
      'candidate',
      4097,
      4096,
    ]);
    expect(found({ type: 'update', metadata: { x: text(4088) } }, null)).toBeNull();
    expect(found({ type: 'update', metadata: { x: text(4089) } }, null)).toEqual(['metadata', 4097, 4096]);
    expect(found({ type: 'stats', stats: { x: text(4089) } }, null)).toEqual(['stats', 4097, 4096]);
  });

  it('counts bytes, not characters', () => {
    expect(found(offer('é'.repeat(1025)))).toEqual(['sdp', 2050, 2048]);
    expect(found({ type: 'message', data: '😀'.repeat(256) })).toEqual(['data', 1026, 1024]);
  });

  it('looks at all of it: a line break is two characters in JSON', () => {
    const rest = size(offer(''));
    expect(found(offer('\n'.repeat(2048)))).toEqual(['message', 4096 + rest, 4096]);
    expect(found(offer('\n'.repeat((4096 - rest) / 2)))).toBeNull();
  });

  it("goes by the protocol's own limits where the server told none", () => {
    for (const limits of [null, {}, { sdp_bytes: 0 }]) {
      expect(found(offer(text(32 * 1024)), limits)).toBeNull();
      expect(found(offer(text(32 * 1024 + 1)), limits)).toEqual(['sdp', 32 * 1024 + 1, 32 * 1024]);
      expect(found({ type: 'message', data: text(16 * 1024) }, limits)).toEqual(['data', 16 * 1024 + 2, 16 * 1024]);
      const named: ClientMessage = { type: 'update', name: text(64 * 1024) };
      expect(found(named, limits)).toEqual(['message', size(named), 64 * 1024]);
    }
  });

  it('says what would be right', () => {
    const error = excess(offer(text(3000)), LIMITS);
    expect(error).toBeInstanceOf(TourbillonError);
    expect(error).toMatchObject({
      code: 'too-large',
      message: '"sdp" of 3000 bytes',
      remedy: 'send at most 2048 bytes in "sdp"',
      fatal: false,
    });
  });
});

describe('Outbox', () => {
  const filled = (...texts: string[]): Outbox => {
    const outbox = new Outbox();
    for (const data of texts) outbox.add({ type: 'message', data });
    return outbox;
  };
  const rest = (outbox: Outbox): [number, unknown][] => {
    const all: [number, unknown][] = [];
    for (let m = outbox.next(); m; m = outbox.next()) {
      all.push([m.n, m.type === 'message' && m.data]);
      outbox.wrote();
    }
    return all;
  };

  it('gives up the first message that the server has not got, once', () => {
    const outbox = filled('a', 'b', 'c');
    rest(outbox);
    outbox.condemn();
    expect(outbox.isCondemned).toBe(true);
    outbox.resumed(1);
    expect(rest(outbox)).toEqual([[3, 'c']]);
    expect(outbox.isCondemned).toBe(false);
    outbox.resumed(1);
    expect(rest(outbox)).toEqual([[3, 'c']]);
  });

  it('gives up none that was never written, nor one of a new session', () => {
    const outbox = filled('a', 'b');
    outbox.wrote();
    outbox.condemn();
    outbox.resumed(1);
    expect(rest(outbox)).toEqual([[2, 'b']]);
    outbox.condemn();
    outbox.add({ type: 'message', data: 'c' });
    outbox.restarted();
    rest(outbox);
    outbox.resumed(0);
    expect(rest(outbox)).toEqual([[1, 'c']]);
  });
});

let room: Room;
let errors: RoomEvents['error'][];

beforeEach(() => {
  vi.useFakeTimers();
  installFakes();
});

afterEach(() => {
  room?.leave();
  vi.useRealTimers();
});

const receive = (message: ServerMessage): void => FakeSocket.last.receive(message);

function welcome(limits: Limits): void {
  receive({ type: 'welcome', server: 'one', heartbeat_ms: 1000, seat_ms: 30_000, limits });
}

async function enter(limits: Limits, statsIntervalMs = 0): Promise<void> {
  const promise = join({ url: 'ws://test/ws', room: 'demo', statsIntervalMs });
  FakeSocket.last.open();
  welcome(limits);
  receive(JOINED);
  room = await promise;
  errors = [];
  room.on('error', (error) => errors.push(error));
  await settle();
}

/** Opens the next socket and has the session resumed there. */
async function resume(got: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(3000);
  FakeSocket.last.open();
  welcome(LAVISH);
  receive({ ...RESUMED, got });
  await settle();
}

const said = (): unknown[] => FakeSocket.last.sentOf('message').map(({ n, data }) => [n, data]);

describe('what is too large', () => {
  it('is not taken from the page, which is told why', async () => {
    await enter(LIMITS);
    const error = expect.objectContaining({ code: 'too-large', field: 'data', bytes: 1102, limit: 1024 }) as unknown;
    expect(() => room.message(text(1100))).toThrow(error);
    expect(() => room.update({ metadata: { x: text(5000) } })).toThrow(TooLargeError);
    expect(() => room.update({ name: text(5000) })).toThrow(expect.objectContaining({ field: 'message', limit: 4096 }));
    expect(room.message('fits')).toBeTruthy();
    expect(FakeSocket.last.sentOf('update')).toEqual([]);
    expect(said()).toEqual([[1, 'fits']]);
  });

  it('is not what a later join shows', async () => {
    await enter(LIMITS);
    room.update({ metadata: { hand: true } });
    expect(() => room.update({ metadata: { x: text(5000) } })).toThrow(TooLargeError);
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    receive({ type: 'error', code: 'session-unknown', message: 'no', remedy: 'join', fatal: false });
    expect(FakeSocket.last.sentOf('join')).toMatchObject([{ metadata: { hand: true } }]);
  });

  it('of a negotiation never leaves, and is an error event', async () => {
    await enter({ ...LIMITS, sdp_bytes: 16 });
    receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    const bytes = FakeConnection.last.localDescription?.sdp.length;
    expect(errors).toMatchObject([{ code: 'too-large', field: 'sdp', bytes, limit: 16 }]);
    expect(FakeSocket.last.sentOf('answer')).toEqual([]);
  });

  it('is no exception in the browser that gathers', async () => {
    await enter(LIMITS);
    receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    const found = { candidate: { toJSON: () => ({ candidate: text(5000) }) } } as unknown as { candidate: null };
    expect(() => FakeConnection.last.onicecandidate?.(found)).not.toThrow();
    expect(errors).toMatchObject([{ code: 'too-large', field: 'candidate', limit: 4096 }]);
    expect(FakeSocket.last.sentOf('candidate')).toEqual([]);
  });

  it('of the statistics never leaves, or a message would pay for it', async () => {
    await enter({ ...LIMITS, message_bytes: 32 }, 1000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last.sentOf('stats')).toEqual([]);
    welcome(LIMITS);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last.sentOf('stats')).toHaveLength(1);
  });

  it('waits for no server that is away', async () => {
    await enter(LIMITS);
    FakeSocket.last.drop();
    expect(() => room.message(text(1100))).toThrow(TooLargeError);
    room.message('waits');
    await resume(0);
    expect(said()).toEqual([[1, 'waits']]);
  });
});

/** What a server does that reads less than it told. */
const refusals: [string, () => void][] = [
  ['with words', () => (receive(REFUSED), FakeSocket.last.drop(1009))],
  ['with words, on a socket that just ends', () => (receive(REFUSED), FakeSocket.last.drop())],
  ['without words', () => FakeSocket.last.drop(1009)],
];

describe.each(refusals)('what the server refuses fatally, %s', (_, refuse) => {
  it('is never sent a second time, and all else once and in order', async () => {
    await enter(LAVISH);
    const large = text(100_000);
    for (const data of ['before', large, 'after']) room.message(data);
    expect(said()).toEqual([[1, 'before'], [2, large], [3, 'after']]);
    refuse();
    room.message('meanwhile');
    expect(errors).toMatchObject([{ code: 'too-large', fatal: false }]);
    expect(room.state).toBe('reconnecting');
    await resume(1);
    expect(said()).toEqual([[3, 'after'], [4, 'meanwhile']]);
    FakeSocket.last.drop();
    await resume(3);
    expect(said()).toEqual([[4, 'meanwhile']]);
    expect(errors).toHaveLength(1);
  });

  it('is given up one by one where it is more than one', async () => {
    await enter(LAVISH);
    for (const data of ['one', 'two', 'three']) room.message(data);
    refuse();
    await resume(0);
    expect(said()).toEqual([[2, 'two'], [3, 'three']]);
    refuse();
    await resume(0);
    expect(said()).toEqual([[3, 'three']]);
    expect(errors).toHaveLength(2);
  });

  it('is not laid to a message that waits through sockets that never resume', async () => {
    await enter(LAVISH);
    for (const data of ['large', 'after']) room.message(data);
    refuse();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    FakeSocket.last.drop();
    await resume(0);
    expect(said()).toEqual([[2, 'after']]);
  });
});

it('a passing fatal refusal gives up nothing', async () => {
  await enter(LIMITS);
  room.message('kept');
  receive({ type: 'error', code: 'slow-consumer', message: 'slow', remedy: 'read', fatal: true });
  expect(errors).toMatchObject([{ code: 'slow-consumer', fatal: false }]); // The room goes on.
  FakeSocket.last.drop(1013);
  await resume(0);
  expect(said()).toEqual([[1, 'kept']]);
});

describe('a join that is too large', () => {
  it('is not repeated when it is the first', async () => {
    const promise = join({ url: 'ws://test/ws', room: 'demo', metadata: { x: text(200_000) } });
    const refused = expect(promise).rejects.toMatchObject({ code: 'too-large', fatal: true });
    FakeSocket.last.open();
    FakeSocket.last.drop(1009);
    await refused;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it.each([
    ['with words', () => receive(REFUSED)],
    ['without words', () => FakeSocket.last.drop(1009)],
  ])('is not repeated either when the session is lost, %s', async (_, refuse) => {
    await enter(LIMITS);
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    receive({ type: 'error', code: 'session-unknown', message: 'no', remedy: 'join', fatal: false });
    refuse();
    expect(room.state).toBe('left');
    expect(errors).toMatchObject([{ code: 'too-large', fatal: true }]);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(FakeSocket.all).toHaveLength(2);
  });
});
