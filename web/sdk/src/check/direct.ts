import { type Patience, within } from './wait.js';

/**
 * Asks the server's STUN service by UDP, and resolves with the milliseconds until its answer; rejects when there is none
 * in time. A browser that sits on the very address which STUN sees shows no candidate for the answer: there, gathering
 * that ends without an error is the sign.
 */
export async function measureDirect(urls: string[], timeoutMs: number, patience: Patience): Promise<number> {
  const pc = new RTCPeerConnection({ iceServers: [{ urls }] });
  try {
    const start = patience.clock.now();
    const answered = within(watchAnswer(pc), timeoutMs, patience, () => new Error('no answer in time'));
    answered.catch(() => undefined); // It may fail before it is awaited.
    pc.createDataChannel('direct');
    await pc.setLocalDescription();
    await answered;
    return patience.clock.now() - start;
  } finally {
    pc.close();
  }
}

/** Each address of this host asks by itself, and one that has no way out is no sign while another one has. */
function watchAnswer(pc: RTCPeerConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const failures: string[] = [];
    let asking = 0;
    pc.onicecandidateerror = ({ errorCode, errorText }) => {
      failures.push(errorText ? `${errorText} (${errorCode})` : `error ${errorCode}`);
    };
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.type === 'srflx') resolve();
      if (candidate?.type === 'host' && candidate.protocol === 'udp') asking++;
    };
    pc.onicegatheringstatechange = () => {
      if (pc.iceGatheringState !== 'complete') return;
      if (failures.length > 0 && failures.length >= asking) reject(new Error(failures[0]));
      else resolve();
    };
  });
}
