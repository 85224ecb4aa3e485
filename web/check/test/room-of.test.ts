import { expect, it } from 'vitest';
import { roomOf } from '../src/room-of.js';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const token = (claims: string): string => `${encode('{"alg":"HS256"}')}.${encode(claims)}.c2ln`;

it.each([
  ['a room', token('{"room":"demo","iss":"us"}'), 'demo'],
  ['other letters beside it', token('{"iss":"Zoë ~~~ ÿÿÿ ???","room":"demo"}'), 'demo'],
  ['every room', token('{"room":"*"}'), ''],
  ['no room', token('{"iss":"us"}'), ''],
  ['a room that is no text', token('{"room":{"demo":1}}'), ''],
  ['nothing', token('null'), ''],
  ['no JSON', token('room'), ''],
  ['no base64', 'a.%.c', ''],
  ['one part', 'demo', ''],
  ['no token', '', ''],
])('a token of %s', (_, text, room) => expect(roomOf(text)).toBe(room));
