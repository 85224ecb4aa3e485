/**
 * A network that tests can break: a router, and the server and two users each on a link of their own to it, every one a
 * network namespace. It needs root, as CI has, and the kernel's own routing: iproute2 is all that is installed for it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Place } from './server.js';

const run = promisify(execFile);

/** The hosts by the addresses that they have. The router is .1 on each link. */
const ADDRESSES = { server: '10.79.1.2', ada: '10.79.2.2', bob: '10.79.3.2' } as const;
export type Host = keyof typeof ADDRESSES;

/** All of them together. */
export const ALL_ADDRESSES = '10.79.0.0/16';

/** GETs a URL with a cookie and prints what came of it. */
const GET = `fetch(process.argv[1], { redirect: 'manual', headers: { cookie: process.argv[2] ?? '' } }).then(async (answer) =>
  console.log(JSON.stringify({ status: answer.status, cookies: answer.headers.getSetCookie(), body: await answer.text() })))`;

export interface Answer {
  /** 0 where nothing answered. */
  status: number;
  cookies: string[];
  body: string;
}

export class Lab implements Place {
  readonly address = ADDRESSES.server;
  private readonly made: string[] = [];
  private cuts = 0;

  private constructor(
    private readonly name: string,
    private readonly folder: string,
  ) {}

  static async make(): Promise<Lab> {
    if (process.getuid?.() !== 0) {
      throw new Error('these tests make network namespaces, which needs root: run them as root, as CI does');
    }
    const lab = new Lab(`tbe${process.pid}`, await mkdtemp(join(tmpdir(), 'tourbillon-lab-')));
    try {
      await lab.build();
    } catch (error) {
      await lab.remove();
      throw error;
    }
    return lab;
  }

  async remove(): Promise<void> {
    for (const namespace of this.made) await ip('netns', 'del', namespace);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The server's. */
  commandLine(program: string, args: readonly string[]): [string, readonly string[]] {
    return ['ip', ['netns', 'exec', this.namespace('server'), program, ...args]];
  }

  async status(url: string): Promise<number> {
    return (await this.get(url)).status;
  }

  /** GETs a URL from the server's host, with cookies as "name=value; name=value". */
  async get(url: string, cookie = ''): Promise<Answer> {
    const line = this.commandLine(process.execPath, ['-e', GET, url, cookie]);
    const nothing: Answer = { status: 0, cookies: [], body: '' };
    return run(...line).then(
      ({ stdout }) => JSON.parse(stdout) as Answer,
      () => nothing,
    );
  }

  /** A program that starts another one on a host, with the arguments that it is given. */
  async starter(host: Host, program: string): Promise<string> {
    const path = join(this.folder, host);
    await writeFile(path, `#!/bin/sh\nexec ip netns exec ${this.namespace(host)} '${program}' "$@"\n`, { mode: 0o755 });
    return path;
  }

  /**
   * Has the router drop without a word what a rule of its routing policy selects (see ip-rule(8)), all packets for none.
   * The returned function lifts that.
   */
  async cut(...selector: string[]): Promise<() => Promise<void>> {
    const preference = String(++this.cuts);
    const router = this.namespace('router');
    await ip('-n', router, 'rule', 'add', 'preference', preference, ...selector, 'blackhole');
    return () => ip('-n', router, 'rule', 'del', 'preference', preference);
  }

  private async build(): Promise<void> {
    for (const host of ['router', ...Object.keys(ADDRESSES)]) {
      await ip('netns', 'add', this.namespace(host));
      this.made.push(this.namespace(host));
      await ip('-n', this.namespace(host), 'link', 'set', 'lo', 'up');
    }
    for (const [host, address] of Object.entries(ADDRESSES)) await this.connect(host, address);
    await ip('netns', 'exec', this.namespace('router'), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  }

  private async connect(host: string, address: string): Promise<void> {
    const [router, there] = [this.namespace('router'), this.namespace(host)];
    const gateway = address.replace(/\d+$/, '1');
    await ip('-n', router, 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'cable', 'netns', there);
    await ip('-n', router, 'address', 'add', `${gateway}/24`, 'dev', host);
    await ip('-n', router, 'link', 'set', host, 'up');
    await ip('-n', there, 'address', 'add', `${address}/24`, 'dev', 'cable');
    await ip('-n', there, 'link', 'set', 'cable', 'up');
    await ip('-n', there, 'route', 'add', 'default', 'via', gateway);
  }

  private namespace(host: string): string {
    return `${this.name}${host}`;
  }
}

async function ip(...args: string[]): Promise<void> {
  await run('ip', args);
}
