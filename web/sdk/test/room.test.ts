import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type JoinOptions, type Room, type RoomEvents, TourbillonError, join } from '../src/index.js';
import type { Joined, PeerInfo, ServerMessage } from '../src/protocol.js';
import { FakeConnection, FakeSocket, installFakes, sdp, settle } from './fakes.js';

const URL_ = 'ws://test/ws';
let room: Room | undefined;

beforeEach(() => {
  vi.useFakeTimers();
  installFakes();
});

afterEach(() => {
  room?.leave();
  room = undefined;
  vi.useRealTimers();
});

const bob = (polite: boolean): PeerInfo => ({ id: 'bob', name: 'Bob', polite });

function joined(peers: PeerInfo[] = [], change: Partial<Joined> = {}): Joined {
  return {
    type: 'joined',
    room: 'demo',
    peer: 'ada',
    session: 'S1',
    server: 'one',
    peers,
    ice_servers: [{ urls: ['turn:h:1?transport=udp'], username: 'u', credential: 'c' }],
    ice_ttl_ms: 300_000,
    heartbeat_ms: 1000,
    seat_ms: 30_000,
    can: ['join', 'publish', 'restart'],
    ...change,
  };
}

async function enter(peers: PeerInfo[] = [], options: Partial<JoinOptions> = {}): Promise<Room> {
  const promise = join({ url: URL_, room: 'demo', name: 'Ada', token: 'T', ...options });
  FakeSocket.last.open();
  FakeSocket.last.receive(joined(peers));
  room = await promise;
  await settle();
  return room;
}

/** Loses the server and comes back to what answer says, which has not kept the seat. */
async function comeBack(answer: Joined): Promise<void> {
  FakeSocket.last.drop();
  await vi.advanceTimersByTimeAsync(250);
  FakeSocket.last.open();
  FakeSocket.last.receive(refusal('session-unknown'));
  FakeSocket.last.receive(answer);
  await settle();
}

function refusal(code: string, fatal = false): ServerMessage {
  return { type: 'error', code, message: 'no', remedy: 'else', fatal };
}

/** Beats for a while, as a server does. */
async function beat(seconds: number): Promise<void> {
  for (let seq = 1; seq <= seconds; seq++) {
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.receive({ type: 'ping', seq, rtt_us: 1 });
  }
}

function record<K extends keyof RoomEvents>(event: K): RoomEvents[K][] {
  const seen: RoomEvents[K][] = [];
  room?.on(event, (value) => seen.push(value));
  return seen;
}

/** Answers the offer that was sent last, as the connection of this session. */
async function answer(session = 'B'): Promise<void> {
  FakeSocket.last.receive({ type: 'answer', from: 'bob', sdp: sdp(session) });
  await settle();
}

describe('joining', () => {
  it('says who it is, and gives the peers that were there to each listener', async () => {
    await enter([bob(true)]);
    expect(FakeSocket.last.protocol).toBe('tourbillon.v1');
    expect(FakeSocket.last.sent.slice(0, 2)).toEqual([
      { type: 'hello', client: 'tourbillon-web/1', class: 'browser' },
      { type: 'join', room: 'demo', name: 'Ada', token: 'T' },
    ]);
    expect(record('peer').map(({ name }) => name)).toEqual(['Bob']);
    expect(room).toMatchObject({ id: 'ada', name: 'demo', state: 'joined' });
  });

  it('rejects with the typed error of a refusal, and does not try again', async () => {
    const promise = join({ url: URL_, room: 'a b' });
    FakeSocket.last.open();
    FakeSocket.last.receive({
      type: 'error',
      code: 'bad-room',
      message: 'no such room',
      remedy: 'use letters',
      fatal: true,
    });
    const error: unknown = await promise.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TourbillonError);
    expect(error).toMatchObject({ code: 'bad-room', message: 'no such room', remedy: 'use letters', fatal: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('tries until the time given for it is over', async () => {
    const outcome = join({ url: URL_, room: 'demo', joinTimeoutMs: 5000 }).catch((reason: unknown) => reason);
    for (let waited = 0; waited < 5000; waited += 250) {
      FakeSocket.last.drop();
      await vi.advanceTimersByTimeAsync(250);
    }
    expect(await outcome).toMatchObject({ code: 'unreachable' });
    expect(FakeSocket.all.length).toBeGreaterThan(3);
  });

  it('keeps only the forced relay, and says when there is none', async () => {
    await enter([bob(true)], { relay: 'udp' });
    expect(FakeConnection.last.configurations[0]).toMatchObject({ iceTransportPolicy: 'relay' });
    const errors = record('error');
    FakeSocket.last.receive({ type: 'ice-servers', ice_servers: [{ urls: 'stun:h' }], ice_ttl_ms: 1000 });
    expect(errors[0]).toMatchObject({ code: 'no-relay' });
  });
});

describe('negotiation', () => {
  it('is started by the newcomer, who asks for what it does not send', async () => {
    await enter([bob(true)]);
    expect(FakeConnection.last.transceivers).toEqual(['audio', 'video']);
    expect(FakeSocket.last.sentOf('offer')).toEqual([
      { type: 'offer', n: 1, to: 'bob', sdp: FakeConnection.last.localDescription?.sdp },
    ]);
  });

  it('is awaited by the side that was there, which answers with its tracks', async () => {
    const track = { kind: 'video' };
    await enter([], { media: { getTracks: () => [track] } as unknown as MediaStream });
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    await settle();
    expect(FakeConnection.all).toHaveLength(0);
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    expect(FakeConnection.last.tracks).toEqual([track]);
    expect(FakeConnection.last.transceivers).toEqual([]);
    expect(FakeSocket.last.sentOf('answer')).toHaveLength(1);
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(0);
  });

  it('is started by the side that was there when the newcomer stays silent', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    await beat(3);
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(1);
  });

  it('yields at a collision on the polite side', async () => {
    await enter([bob(true)]);
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    expect(FakeConnection.last.rollbacks).toBe(1);
    expect(FakeSocket.last.sentOf('answer')).toHaveLength(1);
  });

  it('insists at a collision on the impolite side', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    await beat(3);
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    FakeSocket.last.receive({ type: 'candidate', from: 'bob', candidate: { candidate: 'lost' } });
    await settle();
    expect(FakeConnection.last.rollbacks).toBe(0);
    expect(FakeSocket.last.sentOf('answer')).toHaveLength(0);
    await answer();
    expect(FakeConnection.last.signalingState).toBe('stable');
    expect(FakeConnection.last.candidates).toEqual([]);
  });

  it('keeps early candidates for their description', async () => {
    await enter([bob(true)]);
    FakeSocket.last.receive({ type: 'candidate', from: 'bob', candidate: { candidate: 'one' } });
    FakeSocket.last.receive({ type: 'candidate', from: 'bob', candidate: null });
    await settle();
    expect(FakeConnection.last.candidates).toEqual([]);
    await answer();
    expect(FakeConnection.last.candidates).toEqual([{ candidate: 'one' }, null]);
  });

  it('starts anew with a peer whose connection is another one', async () => {
    await enter([bob(true)]);
    await answer('B1');
    const before = FakeConnection.last;
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B2') });
    await settle();
    expect(before.connectionState).toBe('closed');
    expect(FakeConnection.all).toHaveLength(2);
    expect(FakeSocket.last.sentOf('answer')).toHaveLength(1);
  });
});

describe('repair', () => {
  it('restarts at once on the impolite side when the connection fails', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    FakeConnection.last.become('failed');
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(1);
  });

  it('waits for the other on the polite side, and acts when nothing comes', async () => {
    await enter([bob(true)]);
    await answer();
    FakeConnection.last.become('failed');
    await beat(2);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    await beat(1);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('leaves a disconnected path four seconds to come back', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    FakeConnection.last.become('disconnected');
    await beat(3);
    FakeConnection.last.become('connected');
    await beat(10);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    FakeConnection.last.become('disconnected');
    await beat(4);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('asks for fresh servers first when its own are old', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    FakeConnection.last.become('connected');
    await beat(151);
    FakeConnection.last.become('failed');
    await settle();
    expect(FakeSocket.last.sentOf('ice-servers')).toHaveLength(1);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    FakeSocket.last.receive({ type: 'ice-servers', ice_servers: [{ urls: 'turn:new' }], ice_ttl_ms: 1000 });
    await settle();
    expect(FakeConnection.last.configurations.at(-1)).toEqual({ iceServers: [{ urls: 'turn:new' }] });
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('restarts when the network is back as another one', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B') });
    await settle();
    FakeConnection.last.become('connected');
    window.dispatchEvent(new Event('online'));
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });
});

describe('the server', () => {
  it('gets an answer to every ping', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'ping', seq: 17, rtt_us: 412 });
    expect(FakeSocket.last.sentOf('pong')).toEqual([{ type: 'pong', seq: 17, last: 0 }]);
  });

  it('is given up when its beats stay away', async () => {
    await enter();
    const states = record('state');
    await beat(5);
    expect(states).toEqual([]);
    await vi.advanceTimersByTimeAsync(4000);
    expect(states[0]).toBe('reconnecting');
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });

  it('is left when the page goes', async () => {
    await enter();
    window.dispatchEvent(new Event('pagehide'));
    expect(FakeSocket.last.sentOf('leave')).toHaveLength(1);
    expect(room?.state).toBe('left');
  });

  it('says how long to wait for it', async () => {
    await enter();
    FakeSocket.last.receive({ type: 'bye', reason: 'shutdown', retry_after_ms: 700 });
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(699);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('can end a room that worked', async () => {
    await enter();
    const errors = record('error');
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    FakeSocket.last.receive({
      type: 'error',
      code: 'bad-token',
      message: 'expired',
      remedy: 'get another',
      fatal: true,
    });
    expect(errors[0]).toMatchObject({ code: 'bad-token' });
    expect(room?.state).toBe('left');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(2);
  });
});

describe('coming back', () => {
  it('takes the session along and keeps the connections', async () => {
    await enter([bob(true)]);
    await answer();
    FakeConnection.last.become('connected');
    const left = record('peer-left');
    await comeBack(joined([bob(true)]));
    expect(FakeSocket.last.sent.slice(1)).toMatchObject([
      { type: 'resume', session: 'S1', last: 0 },
      { type: 'join', session: 'S1', token: 'T' },
    ]);
    expect(room?.state).toBe('joined');
    await beat(15);
    expect(FakeConnection.all).toHaveLength(1);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    expect(left).toEqual([]);
  });

  it('gives a missing peer ten seconds', async () => {
    await enter([bob(true)]);
    const left = record('peer-left');
    await comeBack(joined([]));
    await beat(9);
    expect(left).toEqual([]);
    await beat(1);
    expect(left[0]).toMatchObject({ peer: { id: 'bob' } });
    expect(FakeConnection.last.connectionState).toBe('closed');
  });

  it('keeps the connection of a peer that comes back in that time, with its new role', async () => {
    await enter([bob(true)]);
    await answer();
    FakeConnection.last.become('connected');
    await comeBack(joined([], { server: 'two' }));
    await beat(5);
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    await beat(20);
    expect(FakeConnection.all).toHaveLength(1);
    expect(room?.peers.size).toBe(1);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
  });

  it.each([
    ['at once as the impolite side', false, 0],
    ['after three seconds as the polite side', true, 3],
  ])('restarts a relayed path of a restarted server %s', async (_, polite, seconds) => {
    await enter([bob(true)], { relay: 'udp' });
    await answer();
    FakeConnection.last.become('connected');
    const restarted = record('restarted');
    await comeBack(joined([bob(polite)], { server: 'two' }));
    expect(restarted).toHaveLength(1);
    await beat(seconds);
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('knows a relayed path by its selected pair', async () => {
    await enter([bob(true)]);
    await answer();
    FakeConnection.last.become('connected');
    FakeConnection.last.stats = [
      [
        'P',
        {
          id: 'P',
          type: 'candidate-pair',
          nominated: true,
          state: 'succeeded',
          localCandidateId: 'L',
          remoteCandidateId: 'R',
        },
      ],
      ['R', { id: 'R', type: 'remote-candidate', candidateType: 'relay' }],
    ];
    await comeBack(joined([bob(false)], { server: 'two' }));
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('repeats an offer that nobody answered', async () => {
    await enter([bob(true)]);
    await comeBack(joined([bob(true)]));
    await beat(3);
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(1);
  });

  it('calls a peer at once that was dropped and is back', async () => {
    await enter([bob(true)]);
    FakeSocket.last.receive({ type: 'peer-left', peer: 'bob', reason: 'timeout' });
    FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
    await settle();
    expect(FakeConnection.all).toHaveLength(2);
    expect(FakeSocket.last.sentOf('offer').length).toBeGreaterThan(1);
  });

  it('starts over with everyone when it got another id', async () => {
    await enter([bob(true)]);
    const left = record('peer-left');
    await comeBack(joined([bob(true)], { peer: 'ada2' }));
    expect(left).toHaveLength(1);
    expect(FakeConnection.all).toHaveLength(2);
    expect(room?.peers.size).toBe(1);
  });
});

describe('peers', () => {
  it.each(['left', 'closed', 'timeout'] as const)('go at once when they are gone: %s', async (reason) => {
    await enter([bob(true)]);
    const left = record('peer-left');
    FakeSocket.last.receive({ type: 'peer-left', peer: 'bob', reason });
    expect(left).toMatchObject([{ reason }]);
    expect(FakeConnection.last.connectionState).toBe('closed');
  });

  it('get chat lines as soon as their channel is open', async () => {
    await enter([bob(true)]);
    const chat = record('chat');
    room?.send('early');
    FakeConnection.last.channel.open();
    room?.send('late');
    expect(FakeConnection.last.channel.sent).toEqual(['early', 'late']);
    FakeConnection.last.channel.onmessage?.({ data: 'hello' });
    expect(chat).toMatchObject([{ text: 'hello', peer: { name: 'Bob' } }]);
  });

  it('get the configuration of fresh servers', async () => {
    await enter([bob(true)]);
    FakeSocket.last.receive({ type: 'ice-servers', ice_servers: [{ urls: 'turn:new' }], ice_ttl_ms: 1000 });
    expect(FakeConnection.last.configurations.at(-1)).toEqual({ iceServers: [{ urls: 'turn:new' }] });
  });
});
