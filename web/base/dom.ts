/** Small helpers of the pages to build elements. Text always goes in as text nodes, never as markup. */

type Child = Node | string;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'string') element.setAttribute(name, value);
    else element.toggleAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The mark; each page is served with the icon beside it. */
export function brand(): HTMLElement {
  const mark = el('img', { src: './icon.svg', alt: '', width: '24', height: '24' });
  return el('span', { class: 'brand' }, mark, 'Tourbillon');
}
