import { startTicker } from '../ticker.js';
import { Series, type SeriesResult } from './series.js';
import { type Patience, pause, within } from './wait.js';

/** As often as audio packets leave, and about as large. */
const INTERVAL_MS = 20;
const PACKET_BYTES = 160;
/** How long packets that are still on their way are awaited in the end. */
const TAIL_MS = 500;

export interface LoopOptions extends Patience {
  configuration: RTCConfiguration;
  /** How long the series is. */
  durationMs: number;
  /** How long the path may take to open. */
  openTimeoutMs: number;
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
    const open = Promise.race([bothOpen(sender, far), relayed(near, reasons)]);
    open.catch(() => undefined); // It may fail before it is awaited.
    await negotiate(near, far);
    const start = options.clock.now();
    const receiver = await within(
      open,
      options.openTimeoutMs,
      options,
      () => new Error(reasons() || 'no answer from the relay in time'),
    );
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

/** Rejects when the browser has done all it can and was given no address on the relay. */
function relayed(pc: RTCPeerConnection, reasons: () => string): Promise<never> {
  return new Promise((_, reject) => {
    let found = false;
    pc.addEventListener('icecandidate', ({ candidate }) => (found ||= Boolean(candidate?.candidate)));
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState === 'complete' && !found) reject(new Error(reasons() || 'the relay gave no address'));
    });
  });
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

async function runSeries(
  sender: RTCDataChannel,
  receiver: RTCDataChannel,
  options: LoopOptions,
): Promise<SeriesResult> {
  const { clock } = options;
  const series = new Series();
  const packet = new DataView(new ArrayBuffer(PACKET_BYTES));
  receiver.binaryType = 'arraybuffer';
  receiver.onmessage = ({ data }) => {
    if (!(data instanceof ArrayBuffer) || data.byteLength !== PACKET_BYTES) return;
    const view = new DataView(data);
    series.arrive(view.getUint32(0), view.getFloat64(4), clock.now());
  };
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const stop = startTicker(
    INTERVAL_MS,
    () => {
      begin();
      if (sender.readyState !== 'open') return;
      packet.setUint32(0, series.leave());
      packet.setFloat64(4, clock.now());
      sender.send(packet.buffer);
    },
    clock,
  );
  try {
    // A worker takes a while to start on a busy machine.
    await within(begun, options.openTimeoutMs, options, () => new Error('this page has no time to measure'));
    await pause(options.durationMs, options);
  } finally {
    stop();
  }
  if (!series.isComplete) await pause(TAIL_MS, options);
  return series.result();
}
