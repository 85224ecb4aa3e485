import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Room, type RoomEvents, join } from '../src/index.js';
import { PATIENCE_MS, relayOf, reportedState } from '../src/care.js';
import type { IceServer, Joined, PathNews, PathReport, PathRoute, PeerInfo } from '../src/protocol.js';
import { FakeConnection, FakeSocket, installFakes, sdp, settle } from './fakes.js';

const SERVERS: IceServer[] = [
  { urls: ['stun:h:1'] },
  { urls: ['turn:h:1?transport=udp', 'turn:h:1?transport=tcp', 'turns:h:2?transport=tcp'], username: 'u', credential: 'c' },
];
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

function joined(peers: PeerInfo[], change: Partial<Joined> = {}): Joined {
  return {
    type: 'joined',
    room: 'demo',
    peer: 'ada',
    session: 'S1',
    server: 'one',
    peers,
    paths: true,
    ice_servers: SERVERS,
    ice_ttl_ms: 300_000,
    heartbeat_ms: 1000,
    seat_ms: 30_000,
    can: ['join', 'publish', 'restart'],
    ...change,
  };
}

/** Joins a room whose server looks after paths, and has a connection to Bob towards whom this end is polite or not. */
async function connected(polite: boolean, change: Partial<Joined> = {}): Promise<void> {
  const promise = join({ url: 'ws://test/ws', room: 'demo', statsIntervalMs: 0 });
  FakeSocket.last.open();
  FakeSocket.last.receive(joined(polite ? [bob(true)] : [], change));
  room = await promise;
  if (!polite) FakeSocket.last.receive({ type: 'peer-joined', peer: bob(false) });
  const signal = polite ? 'answer' : 'offer';
  await settle();
  FakeSocket.last.receive({ type: signal, from: 'bob', sdp: sdp('B') });
  await settle();
  FakeConnection.last.become('connecting');
  FakeConnection.last.become('connected');
  await settle();
}

async function beat(seconds: number): Promise<void> {
  for (let seq = 1; seq <= seconds; seq++) {
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.receive({ type: 'ping', seq, rtt_us: 1 });
  }
}

function reports(): string[] {
  return FakeSocket.last.sentOf('stats').map((message) => (message as PathReport).state);
}

/** Has the connection tell of its pairs from now on, as Chromium does. */
function tellPairs(): void {
  FakeConnection.last.sctp = { transport: { iceTransport: { onselectedcandidatepairchange: null } } };
  FakeConnection.last.onconnectionstatechange?.();
}

/** The statistics of a pair through this end's relay. */
function pairThrough(transport: 'udp' | 'tcp'): [string, unknown][] {
  return [
    ['T', { id: 'T', type: 'transport', selectedCandidatePairId: 'P' }],
    ['P', { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R' }],
    ['L', { id: 'L', type: 'local-candidate', candidateType: 'relay', relayProtocol: transport }],
  ];
}

/** Loses the server and joins one that was started in its place, where Bob is already. */
async function returnToAnotherServer(polite = true): Promise<void> {
  FakeSocket.last.drop();
  await vi.advanceTimersByTimeAsync(250);
  FakeSocket.last.open();
  FakeSocket.last.receive({ type: 'error', code: 'session-unknown', message: 'no', remedy: 'join', fatal: false });
  FakeSocket.last.receive(joined([bob(polite)], { server: 'two' }));
  await settle();
}

/** The server takes the session up again. */
function resume(change: Partial<Joined> = {}): void {
  const { type: _, peers: __, ...seat } = joined([], change);
  FakeSocket.last.receive({ type: 'resumed', ...seat, got: 0, replayed: 0 });
}

function ask(route: PathRoute, username = 'fresh'): void {
  const servers = SERVERS.map((server) => (server.username ? { ...server, username } : server));
  FakeSocket.last.receive({ type: 'restart', from: 'bob', reason: 'failed', route, ice_servers: servers, ice_ttl_ms: 300_000 });
}

function path(state: PathNews['state'], more: Partial<PathNews> = {}): void {
  FakeSocket.last.receive({ type: 'path', peer: 'bob', state, route: 'direct', ...more });
}

function record<K extends keyof RoomEvents>(event: K): RoomEvents[K][] {
  const seen: RoomEvents[K][] = [];
  room?.on(event, (value) => seen.push(value));
  return seen;
}

describe('reports', () => {
  it('tell each state at once, and how the packets travel', async () => {
    await connected(true);
    FakeConnection.last.stats = [
      ['T', { id: 'T', type: 'transport', selectedCandidatePairId: 'P' }],
      ['P', { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R' }],
      ['L', { id: 'L', type: 'local-candidate', candidateType: 'relay', relayProtocol: 'tls' }],
    ];
    FakeConnection.last.become('disconnected');
    FakeConnection.last.become('connected');
    await settle();
    FakeConnection.last.become('failed');
    expect(reports()).toEqual(['gathering', 'checking', 'connected', 'disconnected', 'connected', 'failed']);
    expect(FakeSocket.last.sentOf('stats')[4]).toEqual({
      type: 'stats',
      to: 'bob',
      state: 'connected',
      via: 'relay',
      transport: 'tls',
    });
  });

  it('are not sent to a server that does not look after paths', async () => {
    await connected(true, { paths: false });
    FakeConnection.last.become('failed');
    expect(reports()).toEqual([]);
    expect(FakeSocket.last.sentOf('restart')).toHaveLength(1);
  });

  it('say nothing of a connection that is lost again meanwhile', async () => {
    await connected(true);
    FakeConnection.last.become('connected');
    FakeConnection.last.become('failed');
    await settle();
    expect(reports().slice(3)).toEqual(['failed']);
  });

  it('are said again after a lost socket', async () => {
    await connected(true);
    FakeSocket.last.drop();
    FakeConnection.last.become('failed');
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    resume();
    expect(reports()).toEqual(['failed']);
  });

  it('tell a restarted server that a relayed path is dead', async () => {
    await connected(true);
    FakeConnection.last.stats = [
      ['T', { id: 'T', type: 'transport', selectedCandidatePairId: 'P' }],
      ['P', { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R' }],
      ['R', { id: 'R', type: 'remote-candidate', candidateType: 'relay' }],
    ];
    await returnToAnotherServer();
    expect(reports()).toEqual(['failed']);
  });

  it('tell of another way of the packets that no state shows, once', async () => {
    await connected(true);
    tellPairs();
    FakeConnection.last.selectPair(pairThrough('udp'));
    FakeConnection.last.selectPair(pairThrough('tcp'));
    await beat(1);
    FakeConnection.last.selectPair(pairThrough('tcp'));
    await beat(1);
    expect(FakeSocket.last.sentOf('stats').slice(-2)).toEqual([
      { type: 'stats', to: 'bob', state: 'connected' },
      { type: 'stats', to: 'bob', state: 'connected', via: 'relay', transport: 'tcp' },
    ]);
  });

  it.each([true, false])('end what was said of a dead path that its state never showed, events of pairs %s', async (told) => {
    await connected(true);
    if (told) tellPairs();
    FakeConnection.last.stats = pairThrough('udp');
    await returnToAnotherServer();
    expect(reports()).toEqual(['failed']);
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B', 2) });
    await settle();
    expect(reports()).toEqual(told ? ['failed'] : ['failed', 'connected']); // The answer alone proves nothing.
    FakeConnection.last.selectPair(pairThrough('udp'));
    await beat(1);
    expect(reports()).toEqual(['failed', 'connected']);
  });

  it('call no path dead for which there is an offer already', async () => {
    await connected(true);
    const pc = FakeConnection.last;
    let read: () => void = () => undefined;
    pc.getStats = () => new Promise((resolve) => (read = () => resolve(pairThrough('udp'))));
    await returnToAnotherServer();
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B', 2) });
    await settle();
    read();
    await settle();
    read();
    await settle();
    expect(reports()).toEqual(['connected']);
  });

  it('leave out what is over', () => {
    expect(reportedState('closed')).toBeNull();
    expect(relayOf('relay/tls')).toBe('tls');
    expect(relayOf('direct')).toBeUndefined();
  });
});

describe('a restart that the server asks for', () => {
  it.each([
    ['relay/udp', ['turn:h:1?transport=udp']],
    ['relay/tcp', ['turn:h:1?transport=tcp']],
    ['relay/tls', ['turns:h:2?transport=tcp']],
  ] as const)('goes over %s only, with the fresh credentials', async (route, urls) => {
    await connected(false);
    FakeConnection.last.become('failed');
    ask(route);
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(FakeConnection.last.configurations.at(-1)).toEqual({
      iceServers: [{ urls, username: 'fresh', credential: 'c' }],
      iceTransportPolicy: 'relay',
    });
    expect(reports().at(-1)).toBe('restarting');
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(1);
  });

  it('goes any way for direct, also after a relay', async () => {
    await connected(false);
    ask('relay/tcp');
    await settle();
    ask('direct');
    await settle();
    const configuration = FakeConnection.last.configurations.at(-1);
    expect(configuration?.iceTransportPolicy).toBeUndefined();
    expect(configuration?.iceServers).toHaveLength(2);
  });

  it('keeps its route when fresh servers come', async () => {
    await connected(false);
    ask('relay/tcp');
    await settle();
    FakeSocket.last.receive({ type: 'ice-servers', ice_servers: SERVERS, ice_ttl_ms: 1000 });
    expect(FakeConnection.last.configurations.at(-1)).toMatchObject({ iceTransportPolicy: 'relay' });
  });

  it('goes any way where there is no relay of the kind', async () => {
    await connected(false, { ice_servers: [{ urls: 'stun:h:1' }] });
    FakeSocket.last.receive({ type: 'restart', from: 'bob', route: 'relay/tls' });
    await settle();
    expect(FakeConnection.last.configurations.at(-1)).toEqual({ iceServers: [{ urls: 'stun:h:1' }] });
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('of a connection that works is over with the answer', async () => {
    await connected(false);
    ask('relay/udp');
    await settle();
    FakeSocket.last.receive({ type: 'answer', from: 'bob', sdp: sdp('B') });
    await settle();
    expect(reports().slice(-2)).toEqual(['restarting', 'connected']);
  });

  it('is not repeated when it comes twice', async () => {
    await connected(false);
    ask('direct');
    await settle();
    ask('direct');
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    ask('relay/udp');
    await settle();
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(2); // The first one again: it was not answered.
  });
});

describe('a path that the server looks after', () => {
  it('is left to it for five seconds, and then helped from here', async () => {
    await connected(false);
    FakeConnection.last.become('failed');
    await beat(PATIENCE_MS / 1000 - 1);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    await beat(1);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(reports().at(-1)).toBe('restarting');
  });

  it('is left to it for as long as it says it goes on', async () => {
    await connected(true);
    FakeConnection.last.become('failed');
    path('consent-lost', { next_ms: 10_000 });
    await beat(10);
    path('consent-lost', { next_ms: 10_000, attempt: 2, route: 'relay/udp' });
    await beat(14);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    await beat(1);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('is left to it also when it fails while it is being restarted', async () => {
    await connected(false);
    FakeConnection.last.become('disconnected');
    ask('direct');
    await settle();
    path('restarting', { next_ms: 10_000, attempt: 1 });
    await beat(3);
    FakeConnection.last.become('failed');
    await beat(11);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(1);
    await beat(1);
    expect(FakeSocket.last.sentOf('offer')).toHaveLength(2);
  });

  it('is helped as ever once the server has seen it connected again', async () => {
    await connected(false);
    path('restarting', { next_ms: 10_000, attempt: 1 });
    path('connected', { attempt: 1 });
    FakeConnection.last.become('failed');
    await beat(PATIENCE_MS / 1000);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
  });

  it('is never restarted by the polite side while the server is there', async () => {
    await connected(true);
    FakeConnection.last.become('failed');
    room?.peers.get('bob')?.restart();
    window.dispatchEvent(new Event('online'));
    for (let attempt = 1; attempt <= 8; attempt++) {
      path('consent-lost', { next_ms: 10_000, attempt });
      await beat(10);
      path('restarting', { next_ms: 10_000, attempt });
      await beat(10);
    }
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    expect(FakeSocket.last.sentOf('restart')).toEqual([]);
    expect(reports().filter((state) => state === 'failed')).toHaveLength(3);
  });

  it('is restarted at once by the impolite side whose network changed', async () => {
    await connected(false);
    ask('relay/tcp');
    await settle();
    FakeSocket.last.receive({ type: 'answer', from: 'bob', sdp: sdp('B') });
    await settle();
    await beat(4);
    window.dispatchEvent(new Event('online'));
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledTimes(2);
    expect(FakeConnection.last.configurations.at(-1)?.iceTransportPolicy).toBeUndefined();
  });

  it('is restarted when the server is back, where a page asked meanwhile', async () => {
    await connected(false);
    FakeSocket.last.drop();
    room?.peers.get('bob')?.restart();
    await vi.advanceTimersByTimeAsync(250);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    FakeSocket.last.open();
    resume();
    await settle();
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(reports().at(-1)).toBe('restarting');
  });

  it('is not restarted for what a page asked before it got another path', async () => {
    await connected(true);
    FakeConnection.last.stats = pairThrough('udp');
    FakeSocket.last.drop();
    room?.peers.get('bob')?.restart();
    await settle();
    await returnToAnotherServer();
    FakeSocket.last.receive({ type: 'offer', from: 'bob', sdp: sdp('B', 2) });
    await settle();
    await beat(4);
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(250);
    FakeSocket.last.open();
    resume({ server: 'two' });
    await settle();
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
  });

  it('is restarted once where the network changed before what a page asked was done', async () => {
    await connected(false);
    const pc = FakeConnection.last;
    const reads: (() => void)[] = [];
    pc.getStats = () => new Promise((resolve) => reads.push(() => resolve([])));
    FakeSocket.last.drop();
    room?.peers.get('bob')?.restart();
    await settle();
    await returnToAnotherServer(false);
    window.dispatchEvent(new Event('online'));
    await settle();
    expect(pc.restartIce).toHaveBeenCalledOnce();
    FakeSocket.last.receive({ type: 'answer', from: 'bob', sdp: sdp('B') });
    await settle();
    for (const read of reads.splice(0)) read();
    await settle();
    expect(pc.restartIce).toHaveBeenCalledOnce();
  });

  it('is called lost when the server gives up, and tried now and then', async () => {
    await connected(false);
    const errors = record('error');
    const states: string[] = [];
    room?.peers.get('bob')?.on('path', ({ state, route, attempt }) => states.push(`${state} ${route} ${attempt}`));
    FakeConnection.last.become('failed');
    path('consent-lost', { next_ms: 10_000, attempt: 1 });
    path('failed', { attempt: 8, reason: 'no restart worked' });
    path('failed', { attempt: 8, reason: 'no restart worked' });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'no-path', message: 'no route to Bob works', fatal: false });
    expect(states).toEqual(['consent-lost direct 1', 'failed direct 8', 'failed direct 8']);
    await beat(59);
    expect(FakeConnection.last.restartIce).not.toHaveBeenCalled();
    await beat(1);
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    FakeConnection.last.become('connected');
    path('failed');
    expect(errors).toHaveLength(1);
  });

  it('tries every route before it is built anew', async () => {
    await connected(false);
    FakeConnection.last.become('failed');
    for (const route of ['direct', 'relay/udp', 'relay/tcp', 'relay/tls'] as const) {
      ask(route);
      await settle();
      FakeSocket.last.receive({ type: 'answer', from: 'bob', sdp: sdp('B') });
      await beat(4);
    }
    expect(FakeConnection.all).toHaveLength(1);
    ask('direct');
    await settle();
    expect(FakeConnection.all).toHaveLength(2);
  });
});
