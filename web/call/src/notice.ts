import { el } from '../../base/dom.js';
import { icon } from './dom.js';

export interface NoticeBar {
  readonly element: HTMLElement;
  show(text: string): void;
  /** Offers the click that the browser wants before it plays sound. */
  askForSound(play: () => void): void;
}

/** One line below the header for what the user should know; it can be closed. */
export function noticeBar(first: string | undefined): NoticeBar {
  const text = el('span', { 'data-testid': 'notice-text' });
  const sound = el('button', { type: 'button', class: 'quiet', hidden: true }, 'Turn sound on');
  const close = el('button', { type: 'button', class: 'bare', 'aria-label': 'Close this notice' }, icon('close'));
  const element = el(
    'div',
    { class: 'notice', role: 'alert', 'data-testid': 'notice', hidden: true },
    text,
    sound,
    close,
  );
  const show = (line: string): void => {
    text.textContent = line;
    element.hidden = false;
  };
  close.addEventListener('click', () => (element.hidden = true));
  if (first) show(first);
  return {
    element,
    show,
    askForSound(play) {
      show('The browser holds the sound back until you click.');
      sound.hidden = false;
      sound.onclick = () => {
        play();
        sound.hidden = element.hidden = true;
      };
    },
  };
}
