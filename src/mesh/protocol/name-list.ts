const SHOWN_NAMES = 3;

/** `tab-1`, `tab-1 and tab-2`, `tab-1, tab-2, tab-3 and 4 more`. */
export function nameList(names: readonly string[]): string {
  if (names.length <= 1) return names[0] ?? '';
  const isCut = names.length > SHOWN_NAMES + 1;
  const shown = isCut ? names.slice(0, SHOWN_NAMES) : names.slice(0, -1);
  const last = isCut ? `${names.length - SHOWN_NAMES} more` : names.at(-1);
  return `${shown.join(', ')} and ${last}`;
}
