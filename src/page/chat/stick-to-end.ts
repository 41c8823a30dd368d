export interface Scrolled {
  readonly scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
}

/** Of a reader who comes back down. */
const NEAR_PX = 40;
/** Places are fractions of a pixel where a page is zoomed. */
const AT_END_PX = 2;

/**
 * Whether new text is to scroll into view, after something was scrolled. A finger or a touchpad goes up by few pixels at a
 * time: each of them lets go, or the next piece of an answer would take the reader back down.
 *
 * @param stuck whether it was so before
 * @param before the place before
 */
export function sticksToEnd(
  stuck: boolean,
  before: number,
  { scrollTop, scrollHeight, clientHeight }: Scrolled,
): boolean {
  const left = scrollHeight - scrollTop - clientHeight;
  // A text that gets shorter moves up too, and stays at its end.
  if (left <= AT_END_PX) return true;
  if (scrollTop < before) return false;
  return stuck || left < NEAR_PX;
}
