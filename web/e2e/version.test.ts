/** What the two binaries of one build say of themselves. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

interface Version {
  version: string;
  go: string;
  timers: { clock: string; modules: Record<string, string> };
}

function versionOf(binary: string, ...options: string[]): Version {
  const path = fileURLToPath(new URL(`../../bin/${binary}`, import.meta.url));
  return JSON.parse(execFileSync(path, ['version', '--json', ...options], { encoding: 'utf8' })) as Version;
}

describe('version --json', () => {
  test('says that every pion module of the build is re-timed', () => {
    const { version, go, timers } = versionOf('tourbillon');
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    expect(go).toMatch(/^go1\./);
    expect(timers.clock).toBe(process.platform === 'linux' ? 'hrtimer' : 'runtime');
    expect(timers.modules).toMatchObject({ 'github.com/pion/ice/v4': 'retimed', 'github.com/pion/turn/v5': 'retimed' });
    expect(new Set(Object.values(timers.modules))).toEqual(new Set(['retimed']));
  });

  test('says that the same sources without re-timing run on package time', () => {
    const { timers } = versionOf('tourbillon-stdtime', '--clock', 'runtime');
    expect(timers.clock).toBe('runtime');
    expect(new Set(Object.values(timers.modules))).toEqual(new Set(['package-time']));
  });
});
