/** What a report says in plain words. */
import type { CallResult, CheckReport, Finding, SeriesResult, Verdict, Way, WayResult } from '../../sdk/src/index.js';
import { JITTERY_MS, LOSSY_SHARE, SLOW_RTT_MS } from '../../sdk/src/check/report.js';

export interface Headline {
  title: string;
  text: string;
}

const HEADLINES: Record<Verdict, Headline> = {
  running: {
    title: 'Checking your connection',
    text: 'This takes a quarter of a minute, or twice that where a way is blocked. Camera and microphone stay off.',
  },
  good: { title: 'You are ready for calls', text: 'Calls from this browser will work well.' },
  partly: { title: 'Calls will work, with limits', text: 'What holds them back is below.' },
  bad: { title: 'Calls will not work from here', text: 'What stands in the way is below.' },
  unfinished: { title: 'The check was cut short', text: 'Whether calls will work is not known yet.' },
};

export function headline(verdict: Verdict): Headline {
  return HEADLINES[verdict];
}

export interface Advice {
  what: string;
  remedy: string;
}

const ADVICE: Record<Finding, Advice> = {
  'no-server': {
    what: 'The server does not answer.',
    remedy: 'See whether other pages open. If they do, tell whoever runs this server.',
  },
  refused: {
    what: 'The server does not let this page in.',
    remedy: 'Open the check with the link of your invitation: the part after # has to be complete.',
  },
  'server-lost': {
    what: 'The connection to the server broke off in the middle of the check.',
    remedy:
      'See whether other pages open. If they do not, it was the network here: check again when they do. ' +
      'If they do, check again in a minute; if it happens again, tell whoever runs this server.',
  },
  'no-media-path': {
    what: 'Sound and picture find no way to the server.',
    remedy:
      'A firewall stops them, here or at the server. Try another network, a phone’s hotspot for example, ' +
      'switch a VPN off, or tell whoever runs this server.',
  },
  'mostly-lost': {
    what: 'Most packets get lost on the way to this server.',
    remedy:
      'A call would break off. Go nearer to the Wi-Fi, use a cable, or try another network. ' +
      'If other pages are quick, tell whoever runs this server.',
  },
  'no-direct-udp': {
    what: 'Direct UDP to the server does not work.',
    remedy: 'Calls go through the relay. To have them direct, ask for UDP to be let out of this network.',
  },
  'no-udp': {
    what: 'UDP, the usual way of calls, is stopped on the way to this server.',
    remedy:
      'Calls go through the relay over TCP, and sound may stutter when the network is busy. ' +
      'Ask for UDP to be let out of this network.',
  },
  'tls-only': {
    what: 'Only TLS, which looks like web traffic, gets through to this server.',
    remedy:
      'Calls go through the relay over TLS, and sound may stutter when the network is busy. ' +
      'Ask for UDP to be let out of this network.',
  },
  'relay-tcp-only': {
    what: 'The relay does not work over UDP.',
    remedy: 'Where calls need the relay, sound may stutter. Tell whoever runs this server to open its UDP port.',
  },
  'no-relay': {
    what: 'The relay does not work.',
    remedy: 'Calls work only with people who can be reached directly. Tell whoever runs this server.',
  },
  slow: {
    what: 'Answers take long.',
    remedy: 'People will talk over each other. A cable or a network nearer to the server helps.',
  },
  jittery: {
    what: 'Packets arrive unevenly.',
    remedy: 'Sound may stutter. Go nearer to the Wi-Fi, use a cable, or end large downloads.',
  },
  lossy: {
    what: 'Packets get lost.',
    remedy: 'Words may go missing. Go nearer to the Wi-Fi, use a cable, or end large downloads.',
  },
  'tcp-fails': {
    what: 'The relay does not work over TCP.',
    remedy:
      'Calls work here without it, but not in networks that stop UDP. Tell whoever runs this server to open its TCP port.',
  },
  'tls-fails': {
    what: 'The relay does not work over TLS.',
    remedy:
      'Calls work here without it, but not in networks that let only web traffic out. Tell whoever runs this server: ' +
      'its TLS port may be closed, or its certificate may not be valid.',
  },
};

export function advice(finding: Finding): Advice {
  return ADVICE[finding];
}

export const WAY_NAMES: Record<Way, Headline> = {
  direct: { title: 'UDP, direct', text: 'Straight to the server' },
  udp: { title: 'Relay over UDP', text: 'When a direct way is closed' },
  tcp: { title: 'Relay over TCP', text: 'When UDP is stopped' },
  tls: { title: 'Relay over TLS', text: 'For strict networks' },
};

/** What it means that a server has no such way, and who can change it. */
const NOT_OFFERED: Record<Way, string> = {
  direct:
    'This server has no STUN service, so people may not find the direct way to each other. ' +
    'Whoever runs it turns it on with turn.udp.',
  udp:
    'This server has no relay over UDP: where the direct way is closed, sound may stutter. ' +
    'Whoever runs it turns it on with turn.udp.',
  tcp:
    'This server has no relay over TCP: calls will not work in networks that stop UDP. ' +
    'Whoever runs it turns it on with turn.tcp.',
  tls:
    'This server has no relay over TLS: calls will not work in networks that let only web traffic out, as some hotels ' +
    'and companies do. Whoever runs it turns it on with a certificate, tls.cert and tls.key.',
};

/** What stands below a row: why a way fails, as the report has it, or what its lack means. */
export function rowNote(way: Way, { state, reason }: WayResult): string {
  if (state === 'not-offered') return NOT_OFFERED[way];
  return state === 'fails' ? (reason ?? '') : '';
}

/** What the direct way's proof is. */
export function proofText({ proof }: WayResult): string {
  return proof === 'stun' ? 'The server answered, but took no call' : WAY_NAMES.direct.text;
}

/** The states of a row, of a way as of the server. */
export type RowState = WayResult['state'] | 'lost';

const STATES: Record<RowState, string> = {
  waiting: 'Waiting',
  running: 'Measuring',
  works: 'Works',
  fails: 'Fails',
  'not-offered': 'Not offered',
  unfinished: 'Not finished',
  lost: 'Lost',
};

export function stateText(state: RowState): string {
  return STATES[state];
}

/** What a row shows of a way, or of the server. */
export interface Row extends Omit<WayResult, 'state'> {
  state: RowState;
}

/** The figures of a row, each with its name. */
export function figures({ series, openedMs, state }: Row): [string, string][] {
  if (series) return seriesFigures(series);
  return state === 'works' && openedMs !== undefined ? [['Opened in', ms(openedMs)]] : [];
}

/** One figure of what a call would meet, with what it means. */
export interface Feel {
  name: string;
  figure: string;
  words: string;
  bad: boolean;
}

/** From the first bound on that the value does not go over. */
function grade(value: number | null, grades: [bound: number, words: string][]): string {
  if (value === null) return 'Not known.';
  return grades.find(([bound]) => value <= bound)?.[1] ?? '';
}

/** What a call would feel like. */
export function feel({ rttMs, jitterMs, lossShare }: CallResult): Feel[] {
  return [
    {
      name: 'Round trip',
      figure: rttMs === null ? '–' : ms(rttMs),
      bad: (rttMs ?? 0) > SLOW_RTT_MS,
      words: grade(rttMs, [
        [SLOW_RTT_MS / 3, 'Nobody notices a delay.'],
        [SLOW_RTT_MS, 'A delay that few people notice.'],
        [Infinity, 'People will talk over each other.'],
      ]),
    },
    {
      name: 'Jitter',
      figure: jitterMs === null ? '–' : ms(jitterMs),
      bad: (jitterMs ?? 0) > JITTERY_MS,
      words: grade(jitterMs, [
        [JITTERY_MS / 3, 'Packets arrive evenly.'],
        [JITTERY_MS, 'A little uneven, which is not heard.'],
        [Infinity, 'Uneven: sound may stutter.'],
      ]),
    },
    {
      name: 'Loss',
      figure: percent(lossShare),
      bad: lossShare > LOSSY_SHARE,
      words: grade(lossShare, [
        [0, 'Nothing gets lost.'],
        [LOSSY_SHARE, 'Too little gets lost to be heard.'],
        [1, 'Words may go missing.'],
      ]),
    },
  ];
}

/** What was measured, and how. */
export function feelNote({ way, sent }: CallResult): string {
  return `${WAY_NAMES[way].title}: ${sent} packets between this browser and the server, as in a call.`;
}

function seriesFigures({ rttMs, jitterMs, lossShare }: SeriesResult): [string, string][] {
  return [
    ['Round trip', rttMs ? ms(rttMs.median) : '–'],
    ['Jitter', jitterMs === null ? '–' : ms(jitterMs)],
    ['Loss', percent(lossShare)],
  ];
}

export function ms(value: number): string {
  if (value < 10) return `${value.toFixed(1)} ms`;
  return `${Math.round(value)} ms`;
}

function percent(share: number): string {
  if (share === 0) return '0 %';
  return share < 0.001 ? '<0.1 %' : `${(share * 100).toFixed(1)} %`;
}

/** The name under which a report is saved. */
export function fileName(report: CheckReport): string {
  return `connection-check-${report.startedAt.slice(0, 19).replaceAll(':', '-')}.json`;
}
