/** The part of the Network Information API that tells one network from another; not in every browser. */
interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

/** Calls changed whenever this host may have got another network, until the signal aborts. */
export function watchNetwork(changed: () => void, signal: AbortSignal): void {
  window.addEventListener('online', changed, { signal });
  const network = (navigator as Navigator & { connection?: NetworkInformation }).connection;
  if (typeof network?.addEventListener !== 'function') return;
  let type = network.type;
  const compare = (): void => {
    // The event also tells of new estimates of speed, which are no reason to restart anything.
    if (network.type !== type) changed();
    type = network.type;
  };
  network.addEventListener('change', compare, { signal });
}
