import { describe, expect, it } from 'vitest';
import { callURL, checkURL, inviteURL, readParams } from '../src/params.js';
import { TourbillonError } from '../../sdk/src/index.js';
import { endScreen } from '../src/end-screen.js';
import { lobby } from '../src/lobby.js';
import { pathText } from '../src/path-text.js';

describe('the address', () => {
  it('names room, name, relay and token', () => {
    const url = new URL('http://h/call/?room=demo&name=%20Ada%20&relay=tcp#token=a.b.c');
    expect(readParams(url)).toEqual({ room: 'demo', name: 'Ada', relay: 'tcp', token: 'a.b.c' });
  });

  it('may name nothing, or a relay that does not exist', () => {
    expect(readParams(new URL('http://h/call/?relay=pigeon'))).toEqual({ room: '', name: '' });
  });

  it('takes no token from the query, which servers log', () => {
    expect(readParams(new URL('http://h/call/?room=demo&token=x')).token).toBeUndefined();
  });

  it('leads into a room, and invites without this name and relay', () => {
    const page = callURL(new URL('http://h/call/?relay=udp#token=x'), 'a room', 'Ada');
    expect(page.href).toBe('http://h/call/?relay=udp&room=a+room&name=Ada#token=x');
    expect(inviteURL(page, 'a room').href).toBe('http://h/call/?room=a+room#token=x');
  });
});

describe('the link to the connection check', () => {
  it.each([
    ['http://h/call/?relay=udp&name=Ada', undefined, 'http://h/check/'],
    ['http://h/call/?room=demo&relay=udp&name=Ada#token=a.b', 'demo', 'http://h/check/?room=demo#token=a.b'],
  ])('from %s', (page, room, link) => expect(checkURL(new URL(page), room).href).toBe(link));

  it('is on the screens before and after a call', () => {
    history.replaceState(null, '', '#token=a.b');
    const address = (screen: HTMLElement): string =>
      new URL(screen.querySelector<HTMLAnchorElement>('[data-testid=check-link]')?.href ?? '').href;
    const nothing = (): void => undefined;
    const end = endScreen('demo', 'broken', new TourbillonError('no-path', 'no route works'), { again: nothing, home: nothing });
    expect(address(lobby('', nothing))).toMatch(/\/check\/#token=a\.b$/);
    expect(address(end)).toMatch(/\/check\/\?room=demo#token=a\.b$/);
  });
});

describe('the path badge', () => {
  it.each([
    ['connected', { kind: 'direct', rttMs: 0.4 }, 'direct · <1 ms'],
    ['connected', { kind: 'relay', transport: 'udp', rttMs: 12.4 }, 'relay udp · 12 ms'],
    ['connected', { kind: 'relay' }, 'relay'],
    ['connected', null, 'connecting'],
    ['new', null, 'connecting'],
    ['disconnected', null, 'interrupted'],
  ] as const)('%s, %j: %s', (state, path, text) => expect(pathText(state, path)).toBe(text));

  it.each([
    [{ state: 'faltering', route: 'direct', attempt: 0 }, 'interrupted'],
    [{ state: 'consent-lost', route: 'direct', attempt: 1 }, 'interrupted · trying again'],
    [{ state: 'restarting', route: 'relay/tcp', attempt: 3 }, 'interrupted · trying relay tcp'],
    [{ state: 'failed', route: 'relay/tls', attempt: 8 }, 'no way through'],
  ] as const)('interrupted, %j: %s', (progress, text) => expect(pathText('failed', null, progress)).toBe(text));
});
