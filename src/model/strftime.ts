const LOCALE = 'en-US';

const FIELDS: Record<string, (date: Date) => string> = {
  Y: (date) => String(date.getFullYear()),
  y: (date) => two(date.getFullYear() % 100),
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2),
  H: (date) => two(date.getHours()),
  I: (date) => two(date.getHours() % 12 || 12),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  a: (date) => date.toLocaleDateString(LOCALE, { weekday: 'short' }),
  A: (date) => date.toLocaleDateString(LOCALE, { weekday: 'long' }),
  b: (date) => date.toLocaleDateString(LOCALE, { month: 'short' }),
  B: (date) => date.toLocaleDateString(LOCALE, { month: 'long' }),
  '%': () => '%',
};

/**
 * C's strftime in the C locale and local time, as far as chat templates use it ("%d %b %Y"). `%-d` drops the padding; an unknown
 * field stays as written.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([A-Za-z%])/g, (written, unpadded: string, field: string) => {
    const value = FIELDS[field]?.(date);
    if (value === undefined) return written;
    return unpadded === '' ? value : value.replace(/^[0 ](?=.)/, '');
  });
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
