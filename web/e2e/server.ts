/** Runs the server under test as a child process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Certificate, makeCertificate } from './certificate.js';
import { freePorts } from './ports.js';
import { until } from './until.js';

const BINARY = process.env['TOURBILLON_BIN'] ?? fileURLToPath(new URL('../../bin/tourbillon', import.meta.url));

/** How long a server may take to stop; it waits up to 5 s for allocations to end. */
const FORCE_MS = 30_000;

/** How many lines of the server's own words a failure shows. */
const SHOWN_LINES = 30;

interface Ports {
  http: number;
  admin: number;
  turn: number;
  turns: number;
}

/** The host that a server runs on. */
export interface Place {
  readonly address: string;
  /** The command line that has the host run a program. */
  commandLine(program: string, args: readonly string[]): [string, readonly string[]];
  /** GETs a URL from there; the status, or 0 where nothing answers. */
  status(url: string, authority?: string): Promise<number>;
}

/** The host of the tests themselves. */
const HERE: Place = {
  address: '127.0.0.1',
  commandLine: (program, args) => [program, args],
  status: (url, authority) =>
    new Promise((resolve) => {
      const judge = (answer: IncomingMessage): void => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      };
      const request = authority ? httpsGet(url, { ca: authority }, judge) : httpGet(url, judge);
      request.on('error', () => resolve(0));
    }),
};

export class Server {
  private child: ChildProcess | null = null;
  private output = '';

  private constructor(
    private readonly place: Place,
    private readonly stateDir: string,
    private readonly ports: Ports,
    private readonly settings: string[],
    /** Null where it serves without TLS. */
    readonly certificate: Certificate | null,
  ) {}

  /** Further settings are as on the command line, "key=value"; they win over the tests' own. */
  static async start(settings: string[] = [], tls = false, place = HERE): Promise<Server> {
    const [http = 0, admin = 0, turn = 0, turns = 0] = await freePorts(4);
    const stateDir = await mkdtemp(join(tmpdir(), 'tourbillon-e2e-'));
    const certificate = tls ? await makeCertificate(stateDir) : null;
    const server = new Server(place, stateDir, { http, admin, turn, turns }, settings, certificate);
    await server.run();
    return server;
  }

  get url(): string {
    return `${this.certificate ? 'https' : 'http'}://${this.place.address}:${this.ports.http}`;
  }

  get adminURL(): string {
    return `http://127.0.0.1:${this.ports.admin}`;
  }

  get wsURL(): string {
    return `${this.url.replace('http', 'ws')}/ws`;
  }

  get turnPort(): number {
    return this.ports.turn;
  }

  /** The address of the call page in this room. */
  callURL(room: string, query: Record<string, string> = {}): string {
    return `${this.url}/call/?${new URLSearchParams({ room, ...query })}`;
  }

  /** Starts the process and waits until it serves. */
  async run(): Promise<void> {
    this.output = '';
    const child = spawn(...this.place.commandLine(BINARY, this.arguments()), { stdio: ['ignore', 'pipe', 'pipe'] });
    const listen = (chunk: Buffer): void => void (this.output += chunk.toString());
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('error', (error) => (this.output += String(error)));
    this.child = child;
    await until('the server serves', () => this.isHealthy(child)).catch((error: Error) => {
      throw this.withOutput(error.message);
    });
  }

  /** Ends the process without any chance to say goodbye. One that had ended by itself is an error. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends the process, if it was not killed; it has to end well. */
  async stop(): Promise<void> {
    const child = await this.end('SIGTERM').finally(() => rm(this.stateDir, { recursive: true, force: true }));
    if (child && child.exitCode !== 0) throw this.withOutput(`the server ended ${describeEnd(child)}`);
  }

  /** The link that the server printed at its start. */
  async printedLink(): Promise<string> {
    return until('the admin link is printed', () => findLink(this.output, this.adminURL));
  }

  /** The invite link that the server printed at its start. */
  async inviteLink(): Promise<string> {
    return until('the invite link is printed', () => /^ *Call +(\S+)$/m.exec(this.output)?.[1]);
  }

  /** A fresh link, as the operator gets one from a running server. */
  async freshLink(): Promise<string> {
    const line = this.place.commandLine(BINARY, ['admin-link', ...this.arguments()]);
    const child = spawn(...line, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await new Promise((resolve) => child.on('close', resolve));
    return findLink(output, this.adminURL) ?? Promise.reject(new Error(`no link in ${JSON.stringify(output)}`));
  }

  private arguments(): string[] {
    const { http, admin, turn, turns } = this.ports;
    const { chain, key } = this.certificate ?? {};
    const { address } = this.place;
    return [
      `http.listen=${address}:${http}`,
      `admin.listen=127.0.0.1:${admin}`,
      `turn.udp=[${address}:${turn}]`,
      `turn.tcp=[${address}:${turn}]`,
      ...(chain ? [`tls.cert=${chain}`, `tls.key=${key}`, `turn.tls=[${address}:${turns}]`] : []),
      `state_dir=${this.stateDir}`,
      ...this.settings,
    ].flatMap((setting) => ['--set', setting]);
  }

  private async isHealthy(child: ChildProcess): Promise<boolean> {
    if (hasEnded(child)) throw new Error(`the server ended ${describeEnd(child)}`);
    return (await this.place.status(`${this.url}/healthz`, this.certificate?.authority)) === 200;
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<ChildProcess | null> {
    const child = this.child;
    this.child = null;
    if (!child) return null;
    if (hasEnded(child)) throw this.withOutput(`the server had ended by itself, ${describeEnd(child)}`);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), FORCE_MS);
    await ended;
    clearTimeout(force);
    return child;
  }

  private withOutput(message: string): Error {
    return new Error(`${message}\n${this.output.split('\n').slice(-SHOWN_LINES).join('\n')}`);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function describeEnd(child: ChildProcess): string {
  return child.signalCode ? `by ${child.signalCode}` : `with exit code ${child.exitCode}`;
}

function findLink(text: string, adminURL: string): string | null {
  const start = text.indexOf(`${adminURL}/login?`);
  return start < 0 ? null : (/^\S+/.exec(text.slice(start))?.[0] ?? null);
}
