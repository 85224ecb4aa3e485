import { useEffect, useState } from 'preact/hooks';

/**
 * What GET of an address answers as JSON, asked again every periodMs while active and while the page is to be seen; null
 * before the first answer. An answer that does not come leaves the one before.
 */
export function usePolled<T>(url: string, periodMs: number, active: boolean): T | null {
  const [value, setValue] = useState<T | null>(null);
  useEffect(() => {
    if (!active) return;
    const ending = new AbortController();
    const ask = async (): Promise<void> => {
      if (document.hidden) return;
      try {
        const answer = await fetch(url, { signal: ending.signal });
        if (answer.status !== 401) setValue((await answer.json()) as T);
      } catch {
        // The feed says that the server is gone, and that a link is wanted.
      }
    };
    const timer = setInterval(() => void ask(), periodMs);
    void ask();
    return () => {
      clearInterval(timer);
      ending.abort();
    };
  }, [url, periodMs, active]);
  return value;
}
