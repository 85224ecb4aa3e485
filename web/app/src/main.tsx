/**
 * The admin page. For tests and for looking at the figures from the console it exposes
 *
 *     window.tourbillonAdmin.points()    the medians in the chart: {t, injected, control}, microseconds over seconds
 */
import { render } from 'preact';
import { Feed } from './feed.js';
import { History } from './history.js';
import { Page, type PageProps } from './page.js';
import './style.css';

interface Points {
  t: number[];
  injected: (number | null)[];
  control: (number | null)[];
}

declare global {
  interface Window {
    tourbillonAdmin: { points(): Points };
  }
}

const history = new History();
const view: PageProps = { phase: 'connecting', hello: null, state: null, columns: history.columns, revision: 0 };

function update(change: Partial<PageProps>): void {
  Object.assign(view, change);
  render(<Page {...view} />, document.getElementById('app') as HTMLElement);
}

const feed = new Feed({
  phase: (phase) => update({ phase }),
  hello(hello) {
    history.reset(hello.history ?? [], hello.period_ms);
    update({ hello, state: null, revision: view.revision + 1 });
  },
  state(state) {
    history.push(state);
    update({ state, revision: view.revision + 1 });
  },
});

window.tourbillonAdmin = {
  points: () => ({
    t: [...history.columns.t],
    injected: [...history.columns.injectedP50],
    control: [...history.columns.controlP50],
  }),
};
window.addEventListener('focus', () => feed.retryIfLocked());
update({});
feed.open();
