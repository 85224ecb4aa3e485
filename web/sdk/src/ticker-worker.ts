/** The metronome in a Web Worker: timers of a hidden tab are held back, a worker's are not. */
import { startMetronome } from './metronome.js';

self.addEventListener('message', (event: MessageEvent<number>) => {
  startMetronome(event.data, () => self.postMessage(null));
});
