import { el } from '../../base/dom.js';
import type { PathProgress, Peer } from '../../sdk/src/index.js';
import { pathText } from './path-text.js';

/** How often the path badge is brought up to date. */
const BADGE_MS = 1000;

export interface Tile {
  readonly element: HTMLElement;
  readonly video: HTMLVideoElement;
  close(): void;
}

/** The tile of another participant. onBlocked is called when the browser refuses to play sound without a click. */
export function remoteTile(peer: Peer, onBlocked: () => void): Tile {
  const name = peer.name || 'Guest';
  const video = el('video', { autoplay: true, playsinline: true, 'aria-label': `Video of ${name}` });
  const badge = el('span', { class: 'badge', 'data-testid': 'path-badge' }, 'connecting');
  const element = frame(video, name, badge);
  element.dataset['peer'] = peer.id;
  element.dataset['testid'] = 'remote-tile';
  video.srcObject = peer.stream;
  const offTrack = peer.on('track', () => void video.play().catch((error: Error) => reportBlocked(error, onBlocked)));
  let progress: PathProgress | undefined;
  const refresh = (): void => void showPath(peer, element, badge, progress);
  const offPath = peer.on('path', (news) => {
    progress = news;
    refresh();
  });
  const offState = peer.on('state', refresh);
  const timer = setInterval(refresh, BADGE_MS);
  return {
    element,
    video,
    close() {
      clearInterval(timer);
      offTrack();
      offState();
      offPath();
      video.srcObject = null;
      element.remove();
    },
  };
}

/** The tile of one's own camera, mirrored as people know themselves. */
export function localTile(stream: MediaStream | undefined): Tile {
  const video = el('video', { id: 'local-video', autoplay: true, playsinline: true, 'aria-label': 'Your own video' });
  video.muted = true;
  video.srcObject = stream ?? null;
  const muted = el('span', { class: 'badge muted-mark', 'data-testid': 'muted-mark' }, 'muted');
  const element = frame(video, 'You', muted);
  element.classList.add('local');
  element.dataset['testid'] = 'local-tile';
  return {
    element,
    video,
    close() {
      video.srcObject = null;
      element.remove();
    },
  };
}

function frame(video: HTMLVideoElement, name: string, badge: HTMLElement): HTMLElement {
  const avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' }, [...name][0]?.toUpperCase() ?? '');
  const caption = el('figcaption', {}, el('span', { class: 'name' }, name), badge);
  const element = el('figure', { class: 'tile' }, avatar, video, caption);
  const showPicture = (): void => void element.classList.toggle('has-picture', video.videoWidth > 0);
  video.addEventListener('loadeddata', showPicture);
  video.addEventListener('resize', showPicture);
  video.addEventListener('emptied', showPicture);
  return element;
}

async function showPath(peer: Peer, element: HTMLElement, badge: HTMLElement, progress?: PathProgress): Promise<void> {
  const path = peer.connectionState === 'connected' ? await peer.path() : null;
  badge.textContent = pathText(peer.connectionState, path, progress);
  element.dataset['state'] = peer.connectionState;
}

function reportBlocked(error: Error, onBlocked: () => void): void {
  if (error.name === 'NotAllowedError') onBlocked();
}
