// @vitest-environment node
/** The package as others get it: packed, unpacked, imported, and type-checked from outside. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const WEB = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tourbillon-pack-'));
  const packed = execFileSync('npm', ['pack', './dist/sdk', '--pack-destination', folder, '--json'], { cwd: WEB });
  const [{ filename }] = JSON.parse(packed.toString()) as [{ filename: string }];
  const installed = join(folder, 'node_modules', 'tourbillon-client');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['xzf', join(folder, filename), '-C', installed, '--strip-components=1']);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('is a module that can be imported anywhere', () => {
  const script = "import('tourbillon-client').then((sdk) => console.log(Object.keys(sdk).sort().join()))";
  const names = execFileSync('node', ['-e', script], { cwd: folder }).toString().trim();
  expect(names).toBe('TooLargeError,TourbillonError,check,join');
});

it('brings its types', () => {
  const source = `
    import { type CheckReport, type Peer, type Room, TourbillonError, check, join } from 'tourbillon-client';
    export const room: Promise<Room> = join({ room: 'demo', metadata: { hand: true } });
    export const report: Promise<CheckReport> = check();
    export const name = (peer: Peer): string => peer.name;
    export const code = (error: TourbillonError): string => error.code;
    // @ts-expect-error A room has to be named.
    void join({});
  `;
  writeFileSync(join(folder, 'use.ts'), source);
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', '', 'use.ts'];
  const compiler = join(WEB, 'node_modules', '.bin', 'tsc');
  expect(() => execFileSync(compiler, options, { cwd: folder, stdio: 'pipe' })).not.toThrow();
}, 60_000);
