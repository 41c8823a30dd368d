/** Marks what is this tab's own. */
export function You() {
  return <span class="you">you</span>;
}
