/**
 * Whether `name` is the name of a file and nothing else: no folder, no drive, no `..`, no URL parts. Names in an index or a manifest
 * come from others and end up in paths and URLs.
 */
export function isPlainFileName(name: string): boolean {
  return name.length <= 255 && /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name);
}
