/** The URLs under which the server hands out a model, and workers fetch it. */
import type { Shard } from '../../model/shard.ts';

/** Ends with a slash; the weight files lie below. */
export function modelPath(model: string): string {
  return `/models/${encodeURIComponent(model)}/`;
}

export function manifestPath(model: string, shard: Shard): string {
  const flag = (on: boolean) => (on ? '1' : '0');
  return `${modelPath(model)}manifest?start=${shard.start}&end=${shard.end}&embedding=${flag(shard.embedding)}&head=${flag(shard.head)}`;
}
