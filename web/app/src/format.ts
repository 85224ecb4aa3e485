/** Numbers for people. */

const NUMBER = new Intl.NumberFormat('en');

export function count(value: number): string {
  return NUMBER.format(value);
}

/** Microseconds in the unit that keeps the figure short. */
export function micros(us: number | null | undefined): string {
  if (us === null || us === undefined) return '–';
  if (us >= 999_500) return `${short(us / 1e6)} s`;
  if (us >= 999.5) return `${short(us / 1000)} ms`;
  return `${short(us)} µs`;
}

/** A measured round trip; 0 stands for none yet. */
export function roundTrip(us: number): string {
  return us > 0 ? micros(us) : '–';
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  for (; scaled >= 999.5 && unit < units.length - 1; unit++) scaled /= 1000;
  return `${unit === 0 ? scaled : short(scaled)} ${units[unit]}`;
}

/** How long something lasts, in its two largest units at most. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** The time of day of so many milliseconds since 1970. */
export function clockTime(ms: number): string {
  return new Date(ms).toLocaleTimeString('en-GB');
}

function short(value: number): string {
  if (value === 0) return '0';
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}
