/**
 * The peers that the stage at `index` sends to or hears from: before and behind it, and, at the ends, the other end,
 * because tokens go from the last stage to the first. A pipeline of one stage has itself as its only neighbour.
 *
 * @param peers the peer of every stage, in pipeline order
 */
export function neighboursOf(peers: readonly string[], index: number): ReadonlySet<string> {
  const neighbours = new Set<string>();
  const before = peers[index - 1];
  const after = peers[index + 1];
  if (before !== undefined) neighbours.add(before);
  if (after !== undefined) neighbours.add(after);
  if (index === 0) neighbours.add(peers.at(-1)!);
  if (index === peers.length - 1) neighbours.add(peers[0]!);
  return neighbours;
}
