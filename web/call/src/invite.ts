import { el } from '../../base/dom.js';
import { icon } from './dom.js';

/** How long the button confirms the copy. */
const CONFIRM_MS = 2000;

/** A button that copies the link; where the clipboard is closed to the page, the link is shown to copy by hand. */
export function inviteButton(link: string): HTMLElement {
  const label = el('span', { class: 'label' }, 'Copy invite link');
  const button = el(
    'button',
    { type: 'button', class: 'quiet', 'data-testid': 'invite', title: 'Copy invite link' },
    icon('link'),
    label,
  );
  const field = el('input', { class: 'link', type: 'text', readonly: true, hidden: true, 'aria-label': 'Invite link' });
  field.value = link;
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(link);
      label.textContent = 'Link copied';
      setTimeout(() => (label.textContent = 'Copy invite link'), CONFIRM_MS);
    } catch {
      field.hidden = false;
      field.select();
    }
  });
  return el('span', { class: 'invite' }, field, button);
}
