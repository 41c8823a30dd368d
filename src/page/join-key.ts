import { MAX_JOIN_KEY_CHARS } from '../config/limits.ts';

const NAME = 'join-key';

/**
 * The key that the page's address brings, `#join-key=…`, as in a link that is handed to those who may join. Behind `#`, for that part
 * is sent to no server and stands in no log. It is taken out of the address, which people copy and show.
 */
export function takeJoinKey(
  place: { readonly href: string; readonly hash: string },
  replace: (url: string) => void,
): string | null {
  const parts = new URLSearchParams(place.hash.slice(1));
  const key = parts.get(NAME);
  if (key === null) return null;
  parts.delete(NAME);
  const url = new URL(place.href);
  url.hash = parts.toString();
  replace(url.href);
  return key.slice(0, MAX_JOIN_KEY_CHARS);
}
