/** `1234567` → `1.2 MB` (decimal units, as browsers and operating systems show downloads). */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'] as const;
  let value = bytes;
  let unit = -1;
  do {
    value /= 1_000;
    unit++;
  } while (value >= 999.95 && unit < units.length - 1);
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** Multiply-accumulates per second: `1.2 GMAC/s`. */
export function formatRate(macsPerSecond: number): string {
  if (macsPerSecond >= 1e12) return `${(macsPerSecond / 1e12).toFixed(1)} TMAC/s`;
  if (macsPerSecond >= 1e9) return `${(macsPerSecond / 1e9).toFixed(1)} GMAC/s`;
  return `${(macsPerSecond / 1e6).toFixed(0)} MMAC/s`;
}
