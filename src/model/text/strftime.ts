const LOCALE = 'en-US';

const FIELDS: Record<string, (date: Date) => string> = {
  Y: (date) => String(date.getFullYear()),
  C: (date) => two(Math.floor(date.getFullYear() / 100)),
  y: (date) => two(date.getFullYear() % 100),
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2),
  j: (date) => String(dayOfYear(date)).padStart(3, '0'),
  H: (date) => two(date.getHours()),
  k: (date) => String(date.getHours()).padStart(2),
  I: (date) => two(date.getHours() % 12 || 12),
  l: (date) => String(date.getHours() % 12 || 12).padStart(2),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  f: (date) => `${String(date.getMilliseconds()).padStart(3, '0')}000`,
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  P: (date) => (date.getHours() < 12 ? 'am' : 'pm'),
  a: (date) => date.toLocaleDateString(LOCALE, { weekday: 'short' }),
  A: (date) => date.toLocaleDateString(LOCALE, { weekday: 'long' }),
  b: (date) => date.toLocaleDateString(LOCALE, { month: 'short' }),
  h: (date) => date.toLocaleDateString(LOCALE, { month: 'short' }),
  B: (date) => date.toLocaleDateString(LOCALE, { month: 'long' }),
  u: (date) => String(date.getDay() || 7),
  w: (date) => String(date.getDay()),
  U: (date) => two(Math.floor((dayOfYear(date) + 6 - date.getDay()) / 7)),
  W: (date) => two(Math.floor((dayOfYear(date) + 6 - ((date.getDay() + 6) % 7)) / 7)),
  // Python's now() has no zone.
  z: () => '',
  Z: () => '',
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
};

/** Fields that stand for several. */
const COMPOUND: Record<string, string> = {
  c: '%a %b %e %H:%M:%S %Y',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  r: '%I:%M:%S %p',
  R: '%H:%M',
  T: '%H:%M:%S',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
};

/**
 * C's strftime in the C locale and local time, as Python's datetime.now() prints it. `%-d` drops the padding; a field that C does not
 * know stays as written.
 * @throws Error for what C knows and this does not: the ISO year and week, and flags other than `-`
 */
export function strftime(date: Date, format: string): string {
  const whole = format.replace(/%%|%([cDFrRTxX])/g, (written, field: string | undefined) =>
    field === undefined ? written : COMPOUND[field]!,
  );
  return whole.replace(/%([-_0^#]?)([A-Za-z%])/g, (written, flag: string, field: string) => {
    if ('GgVs'.includes(field) || (flag !== '' && flag !== '-')) {
      throw new Error(`the date format ${written} is not supported`);
    }
    const value = FIELDS[field]?.(date);
    if (value === undefined) return written;
    return flag === '' ? value : value.replace(/^[0 ]+(?=.)/, '');
  });
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 0);
  return (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / 86_400_000;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
