/** Ports for the servers under test. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Below the range from which kernels give ports to whoever asks for any (32768 on Linux) and in which relays lie: a
 * server that is down for a moment finds its port free again.
 */
const FIRST = 10_000;
const END = 32_768;

/** Finds ports on which nobody listens, neither by TCP nor by UDP. */
export async function freePorts(n: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < n) {
    const port = randomInt(FIRST, END);
    if (!found.has(port) && (await isFreeForTCP(port)) && (await isFreeForUDP(port))) found.add(port);
  }
  return [...found];
}

function isFreeForTCP(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function isFreeForUDP(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}
