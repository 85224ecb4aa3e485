/** What a report says in plain words. */
import type { CheckReport, Finding, SeriesResult, Verdict, Way, WayResult } from '../../sdk/src/index.js';

export interface Headline {
  title: string;
  text: string;
}

const HEADLINES: Record<Verdict, Headline> = {
  running: {
    title: 'Checking your connection',
    text: 'This takes about a quarter of a minute. Nothing is recorded, camera and microphone stay off.',
  },
  good: { title: 'You are ready for calls', text: 'Calls from this browser will work well.' },
  partly: { title: 'Calls will work, with limits', text: 'What holds them back is below.' },
  bad: { title: 'Calls will not work from here', text: 'What stands in the way is below.' },
};

export function headline(verdict: Verdict): Headline {
  return HEADLINES[verdict];
}

export interface Advice {
  what: string;
  remedy: string;
}

const NETWORK_REMEDY = 'Try another network, a phone’s hotspot for example, or switch a VPN off.';

const ADVICE: Record<Finding, Advice> = {
  'no-server': {
    what: 'The server does not answer.',
    remedy: 'See whether other pages open. If they do, tell whoever runs this server.',
  },
  refused: {
    what: 'The server does not let this page in.',
    remedy: 'Open the check with the link of your invitation: the part after # has to be complete.',
  },
  'no-media-path': {
    what: 'Sound and picture find no way to the server.',
    remedy: `A firewall stops them. ${NETWORK_REMEDY}`,
  },
  'no-direct-udp': {
    what: 'The server does not answer direct UDP.',
    remedy: 'Calls go through the relay. To have them direct, ask for UDP to be let out of this network.',
  },
  'no-udp': {
    what: 'UDP, the usual way of calls, is stopped on the way to this server.',
    remedy:
      'Calls go through the relay over TCP, and sound may stutter when the network is busy. ' +
      'Ask for UDP to be let out of this network.',
  },
  'relay-tcp-only': {
    what: 'The relay does not answer over UDP.',
    remedy: 'Where calls need the relay, sound may stutter. Tell whoever runs this server to open its UDP port.',
  },
  'no-relay': {
    what: 'The relay does not answer.',
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
    what: 'The relay does not answer over TCP.',
    remedy: 'It is needed only where UDP is stopped. If calls fail elsewhere, tell whoever runs this server.',
  },
  'tls-fails': {
    what: 'The relay does not answer over TLS.',
    remedy: 'It is needed only in strict networks. If calls fail elsewhere, tell whoever runs this server.',
  },
};

export function advice(finding: Finding): Advice {
  return ADVICE[finding];
}

export const WAY_NAMES: Record<Way, Headline> = {
  direct: { title: 'UDP, direct', text: 'Straight to other people' },
  udp: { title: 'Relay over UDP', text: 'When a direct way is closed' },
  tcp: { title: 'Relay over TCP', text: 'When UDP is stopped' },
  tls: { title: 'Relay over TLS', text: 'For strict networks' },
};

/** The states of a row, of a way as of the server. */
export type RowState = WayResult['state'];

const STATES: Record<RowState, string> = {
  waiting: 'Waiting',
  running: 'Measuring',
  works: 'Works',
  fails: 'Fails',
  'not-offered': 'Not offered',
};

export function stateText(state: RowState): string {
  return STATES[state];
}

/** The figures of a row, each with its name. */
export function figures({ series, openedMs, state }: WayResult): [string, string][] {
  if (series) return seriesFigures(series);
  return state === 'works' && openedMs !== undefined ? [['Opened in', ms(openedMs)]] : [];
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
