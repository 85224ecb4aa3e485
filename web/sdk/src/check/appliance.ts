import { readPath } from '../path.js';
import { type ProbeRequest, type ProbeResult, Probes, probeRequest, readTold } from './probes.js';
import type { Visit } from './visit.js';
import { type Patience, within } from './wait.js';

/** How long the first probe is waited for until the appliance is asked again: the request may be lost. */
const ASK_AGAIN_MS = 500;
/** How long the appliance's words are waited for: it waits a second for late probes before it speaks. */
const TOLD_MS = 2500;

/** The call stands, and nothing came over it: no probe, and no word. */
export class Silent extends Error {
  override readonly name = 'Silent';
}

/** A call to the appliance, the peer in every room, with its channel "measure". Whoever opened it closes it. */
export class ApplianceCall {
  private readonly pc: RTCPeerConnection;
  private readonly channel: RTCDataChannel;

  private constructor(
    private readonly visit: Visit,
    configuration: RTCConfiguration,
    private readonly patience: Patience,
  ) {
    this.pc = new RTCPeerConnection(configuration);
    // Nothing is sent twice, so that what gets lost is seen to be lost.
    this.channel = this.pc.createDataChannel('measure', { ordered: false, maxRetransmits: 0 });
    this.channel.binaryType = 'arraybuffer';
  }

  /** Calls, and resolves when the channel is open. */
  static async open(visit: Visit, configuration: RTCConfiguration, ms: number, patience: Patience): Promise<ApplianceCall> {
    const call = new ApplianceCall(visit, configuration, patience);
    try {
      await within(call.connect(), ms, patience, () => new Error('no way to the server in time'));
      return call;
    } catch (error) {
      call.close();
      throw error;
    }
  }

  /**
   * Has the appliance send probes for so long, and sends each back. Rejects when the call ends before, and with Silent
   * when nothing came.
   */
  async measure(durationMs: number): Promise<ProbeResult> {
    const request = probeRequest(durationMs);
    const probes = new Probes(request);
    const told = this.hear(probes);
    const stop = this.ask(request, probes);
    try {
      return await within(told, durationMs + TOLD_MS, this.patience, () => new Silent('the appliance said nothing'));
    } catch (error) {
      // Its words come on the channel that is measured, and may be what got lost.
      if (!probes.begun || this.patience.signal.aborted) throw error;
      return probes.result(await this.roundTrip());
    } finally {
      stop();
    }
  }

  close(): void {
    this.channel.onopen = this.channel.onmessage = this.channel.onclose = null;
    this.pc.onicecandidate = this.pc.onconnectionstatechange = null;
    this.pc.close();
  }

  private async connect(): Promise<void> {
    const { pc, channel, visit } = this;
    const open = new Promise<void>((resolve, reject) => {
      channel.onopen = () => resolve();
      pc.onconnectionstatechange = () => {
        if (pc.connectionState === 'failed') reject(new Error('no way to the server'));
      };
      visit.listen({
        answered: (sdp) => void pc.setRemoteDescription({ type: 'answer', sdp }).catch(reject),
        ended: reject,
      });
    });
    open.catch(() => undefined); // It may fail before it is awaited.
    pc.onicecandidate = ({ candidate }) => visit.say({ type: 'candidate', candidate: candidate?.toJSON() ?? null });
    await pc.setLocalDescription();
    visit.say({ type: 'offer', sdp: pc.localDescription?.sdp ?? '' });
    await open;
  }

  /** Sends probes back, and resolves with what the appliance says in the end. */
  private hear(probes: Probes): Promise<ProbeResult> {
    return new Promise((resolve, reject) => {
      this.channel.onclose = () => reject(new Error('the call ended'));
      this.channel.onmessage = ({ data }) => {
        if (probes.take(data, this.patience.clock.now())) return this.channel.send(data);
        const told = readTold(data);
        if (!told) return;
        if (!('error' in told)) resolve(told);
        // When a request was sent again while the first one was on its way, the appliance says that it is busy.
        else if (!probes.begun) reject(new Error(told.error));
      };
    });
  }

  /** Asks for the series until it begins, or until the returned function is called. */
  private ask(request: ProbeRequest, probes: Probes): () => void {
    let cancel = (): void => undefined;
    const ask = (): void => {
      if (probes.begun || this.channel.readyState !== 'open') return;
      this.channel.send(JSON.stringify(request));
      cancel = this.patience.clock.after(ASK_AGAIN_MS, ask);
    };
    ask();
    return () => cancel();
  }

  /** The round trip that ICE has measured. */
  private async roundTrip(): Promise<number | null> {
    return readPath((await this.pc.getStats()) as unknown as Iterable<[string, unknown]>)?.rttMs ?? null;
  }
}
