import type { Clock } from '../clock.js';
import { startTicker } from '../ticker.js';
import { Series, type SeriesResult } from './series.js';

/** As often as audio packets leave, and about as large. */
const INTERVAL_MS = 20;
const PACKET_BYTES = 160;
/** How long packets that are still on their way are awaited in the end. */
const TAIL_MS = 500;

export interface LoopOptions {
  configuration: RTCConfiguration;
  clock: Clock;
  /** How long the series is. */
  durationMs: number;
  /** How long the path may take to open. */
  openTimeoutMs: number;
  signal: AbortSignal;
  opened(ms: number): void;
}

/**
 * Sends packets from one connection of this page to another through the relay, and measures them. Both connections are
 * allowed the relay only, so every packet goes from here to the relay and from the relay back to here.
 */
export async function measureLoop(options: LoopOptions): Promise<SeriesResult> {
  const [near, far] = [new RTCPeerConnection(options.configuration), new RTCPeerConnection(options.configuration)];
  try {
    const reasons = collectReasons(near, far);
    const sender = near.createDataChannel('series', { ordered: false, maxRetransmits: 0 });
    const open = bothOpen(sender, far);
    await negotiate(near, far);
    const start = options.clock.now();
    const receiver = await within(open, options, () => new Error(reasons() || 'no answer from the relay in time'));
    options.opened(options.clock.now() - start);
    return await runSeries(sender, receiver, options);
  } finally {
    near.close();
    far.close();
  }
}

async function negotiate(near: RTCPeerConnection, far: RTCPeerConnection): Promise<void> {
  exchangeCandidates(near, far);
  exchangeCandidates(far, near);
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription as RTCSessionDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription as RTCSessionDescription);
}

/** Candidates that come before the description wait for it. */
function exchangeCandidates(from: RTCPeerConnection, to: RTCPeerConnection): void {
  const early: RTCIceCandidate[] = [];
  const add = (candidate: RTCIceCandidate): void => void to.addIceCandidate(candidate).catch(() => undefined);
  from.onicecandidate = ({ candidate }) => {
    if (!candidate) return;
    if (to.remoteDescription) add(candidate);
    else early.push(candidate);
  };
  const flush = (): void => {
    if (to.remoteDescription) early.splice(0).forEach(add);
  };
  to.addEventListener('signalingstatechange', flush);
}

/** What the browser said went wrong on the way to the relay. */
function collectReasons(...connections: RTCPeerConnection[]): () => string {
  const seen = new Set<string>();
  for (const pc of connections) {
    pc.addEventListener('icecandidateerror', ({ errorCode, errorText }) => {
      seen.add(errorText ? `${errorText} (${errorCode})` : `error ${errorCode}`);
    });
  }
  return () => [...seen].slice(0, 3).join('; ');
}

function bothOpen(sender: RTCDataChannel, far: RTCPeerConnection): Promise<RTCDataChannel> {
  const received = new Promise<RTCDataChannel>((resolve) => {
    far.ondatachannel = ({ channel }) => resolve(channel);
  });
  const opened = new Promise<void>((resolve) => {
    sender.onopen = () => resolve();
  });
  return Promise.all([received, opened]).then(([channel]) => channel);
}

/** Resolves as the promise does, or rejects when the time is over or nobody waits any more. */
function within<T>(promise: Promise<T>, options: LoopOptions, reason: () => Error): Promise<T> {
  const { clock, openTimeoutMs, signal } = options;
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(openTimeoutMs, () => reject(reason()));
    const abort = (): void => {
      cancel();
      reject(new Error('the check was ended'));
    };
    signal.addEventListener('abort', abort, { once: true });
    void promise.then((value) => {
      cancel();
      signal.removeEventListener('abort', abort);
      resolve(value);
    });
  });
}

async function runSeries(
  sender: RTCDataChannel,
  receiver: RTCDataChannel,
  { clock, durationMs, signal }: LoopOptions,
): Promise<SeriesResult> {
  const series = new Series();
  const packet = new DataView(new ArrayBuffer(PACKET_BYTES));
  receiver.binaryType = 'arraybuffer';
  receiver.onmessage = ({ data }) => {
    if (!(data instanceof ArrayBuffer) || data.byteLength !== PACKET_BYTES) return;
    const view = new DataView(data);
    series.arrive(view.getUint32(0), view.getFloat64(4), clock.now());
  };
  const stop = startTicker(
    INTERVAL_MS,
    () => {
      if (sender.readyState !== 'open') return;
      packet.setUint32(0, series.leave());
      packet.setFloat64(4, clock.now());
      sender.send(packet.buffer);
    },
    clock,
  );
  await pause(clock, durationMs, signal);
  stop();
  if (!series.isComplete) await pause(clock, TAIL_MS, signal);
  return series.result();
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    const abort = (): void => {
      cancel();
      resolve();
    };
    signal.addEventListener('abort', abort, { once: true });
  });
}
