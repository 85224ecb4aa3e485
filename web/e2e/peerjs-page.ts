/** A page of another origin that uses the npm package peerjs as published, as a developer's own server would show it. */
import { readFileSync } from 'node:fs';
import { type Server as HttpServer, createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import type { DataConnection, MediaConnection, Peer, PeerOptions } from 'peerjs';

const PACKAGE = join(dirname(createRequire(import.meta.url).resolve('peerjs')), 'peerjs.min.js');

/** What the scripts of the tests keep on their page. */
declare global {
  interface Window {
    Peer: typeof Peer;
    peer: Peer;
    connection: DataConnection;
    call: MediaConnection;
    heard: unknown[];
    errors: string[];
  }
}

export class PeerPages {
  private constructor(private readonly http: HttpServer) {}

  static async serve(): Promise<PeerPages> {
    const script = readFileSync(PACKAGE);
    const http = createServer((request, response) => {
      const isScript = request.url === '/peerjs.min.js';
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
      response.end(isScript ? script : '<!doctype html><title>PeerJS</title><video autoplay></video><script src="/peerjs.min.js"></script>');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => http.once('listening', resolve));
    return new PeerPages(http);
  }

  /** By name, so that it is a secure context of another host than the server's. */
  get url(): string {
    return `http://localhost:${(this.http.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }
}

/** A user of the peerjs package. */
export class PeerUser {
  private constructor(readonly page: Page) {}

  /** Opens the page and a Peer on it, which echoes what it hears, answers calls, and reports its errors. */
  static async open(page: Page, url: string, server: string, id?: string, options?: PeerOptions): Promise<PeerUser> {
    await page.goto(url);
    return PeerUser.on(page, server, id, options);
  }

  /** Makes a Peer on a page that is open. */
  static async on(page: Page, server: string, id?: string, options: PeerOptions = {}): Promise<PeerUser> {
    const { hostname, port } = new URL(server);
    await page.evaluate(
      ([wanted, given]) => {
        window.heard = [];
        window.errors = [];
        const peer = wanted ? new window.Peer(wanted, given) : new window.Peer(given);
        window.peer = peer;
        peer.on('error', (error) => window.errors.push(error.type));
        peer.on('connection', (connection) => {
          connection.on('data', (data) => {
            window.heard.push(data);
            void connection.send(`echo of ${String(data)}`);
          });
        });
        peer.on('call', (call) => {
          window.call = call;
          void navigator.mediaDevices.getUserMedia({ audio: true, video: true }).then((own) => call.answer(own));
        });
      },
      [id, { host: hostname, port: Number(port), path: '/', config: { iceServers: [] }, ...options }] as const,
    );
    return new PeerUser(page);
  }

  /** Waits until the server knows this Peer; returns its id. */
  async opened(): Promise<string> {
    await this.page.waitForFunction(() => window.peer.open);
    return this.page.evaluate(() => window.peer.id);
  }

  /** Opens a data connection, says something and returns what comes back. */
  async asks(id: string, text: string): Promise<string> {
    return this.page.evaluate(
      ([to, words]) =>
        new Promise<string>((resolve) => {
          window.connection = window.peer.connect(to, { reliable: true });
          window.connection.on('open', () => void window.connection.send(words));
          window.connection.on('data', (data) => resolve(String(data)));
        }),
      [id, text] as const,
    );
  }

  /** Says something on the open data connection and returns what comes back. */
  async says(text: string): Promise<string> {
    return this.page.evaluate(
      (words) =>
        new Promise<string>((resolve) => {
          window.connection.once('data', (data) => resolve(String(data)));
          void window.connection.send(words);
        }),
      text,
    );
  }

  /** Calls with camera and microphone. */
  async calls(id: string): Promise<void> {
    await this.page.evaluate(async (to) => {
      const own = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
      window.call = window.peer.call(to, own);
      window.call.on('stream', (stream) => ((document.querySelector('video') as HTMLVideoElement).srcObject = stream));
    }, id);
  }

  /** Video frames that this side has decoded of its call. */
  frames(): Promise<number> {
    return this.page.evaluate(async () => {
      const stats = [...((await window.call?.peerConnection?.getStats()) ?? new Map()).values()] as Record<string, unknown>[];
      return stats.reduce((sum, { type, kind, framesDecoded }) => sum + (type === 'inbound-rtp' && kind === 'video' ? Number(framesDecoded ?? 0) : 0), 0);
    });
  }

  /** The kind of the candidate that this side's data connection sends from. */
  path(): Promise<string> {
    return this.page.evaluate(async () => {
      const stats = [...(await window.connection.peerConnection.getStats()).values()] as Record<string, unknown>[];
      const selected = stats.find(({ type }) => type === 'transport')?.['selectedCandidatePairId'];
      const local = stats.find(({ id }) => id === selected)?.['localCandidateId'];
      return String(stats.find(({ id }) => id === local)?.['candidateType']);
    });
  }

  /** Waits for the package to report an error of a type. */
  async fails(type: string): Promise<void> {
    await this.page.waitForFunction((wanted) => window.errors.includes(wanted), type);
  }

  async disconnected(): Promise<void> {
    await this.page.waitForFunction(() => window.peer.disconnected);
  }

  async reconnects(): Promise<string> {
    await this.page.evaluate(() => window.peer.reconnect());
    return this.opened();
  }
}
