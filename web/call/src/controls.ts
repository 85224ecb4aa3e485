import { el } from '../../base/dom.js';
import { type Icon, iconButton } from './dom.js';

export interface ControlActions {
  muted(on: boolean): void;
  cameraOff(on: boolean): void;
  chat(open: boolean): void;
  leave(): void;
}

export interface Controls {
  readonly element: HTMLElement;
  /** Marks the chat button when a line came while the chat was closed. */
  markUnread(): void;
}

export function controlBar(stream: MediaStream | undefined, chatOpen: boolean, actions: ControlActions): Controls {
  const mic = toggle('mic', ['Mute microphone', 'Unmute microphone'], 'mic', (off) => {
    for (const track of stream?.getAudioTracks() ?? []) track.enabled = !off;
    actions.muted(off);
  });
  const camera = toggle('camera', ['Turn camera off', 'Turn camera on'], 'camera', (off) => {
    for (const track of stream?.getVideoTracks() ?? []) track.enabled = !off;
    actions.cameraOff(off);
  });
  mic.disabled = !stream?.getAudioTracks().length;
  camera.disabled = !stream?.getVideoTracks().length;
  const chat = chatButton(chatOpen, actions);
  const leave = iconButton('leave', 'Leave the call', 'leave');
  leave.classList.add('danger');
  leave.addEventListener('click', () => actions.leave());
  const element = el('nav', { class: 'controls', 'aria-label': 'Call controls' }, mic, camera, chat, leave);
  return { element, markUnread: () => chat.classList.toggle('unread', chat.getAttribute('aria-expanded') === 'false') };
}

function toggle(
  name: Icon,
  labels: [string, string],
  testId: string,
  change: (off: boolean) => void,
): HTMLButtonElement {
  const button = iconButton(name, labels[0], testId);
  button.classList.add('switch');
  button.setAttribute('aria-pressed', 'false');
  button.addEventListener('click', () => {
    const off = button.getAttribute('aria-pressed') === 'false';
    button.setAttribute('aria-pressed', String(off));
    button.title = labels[off ? 1 : 0];
    button.setAttribute('aria-label', button.title);
    change(off);
  });
  return button;
}

function chatButton(open: boolean, actions: ControlActions): HTMLButtonElement {
  const button = iconButton('chat', 'Show or hide the chat', 'chat-toggle');
  button.setAttribute('aria-controls', 'chat');
  button.setAttribute('aria-expanded', String(open));
  button.addEventListener('click', () => {
    const next = button.getAttribute('aria-expanded') === 'false';
    button.setAttribute('aria-expanded', String(next));
    button.classList.remove('unread');
    actions.chat(next);
  });
  return button;
}
