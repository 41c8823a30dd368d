import { ALL_RETURN_MS, PEER_RETURN_MS } from '../config/limits.ts';
import type { World } from './world.ts';

/**
 * What is left of answers that have all ended: KV pages, sequences; and, when everybody has gone, timers, links, connections.
 * It ends the world.
 */
export async function leftovers(world: World): Promise<string[]> {
  const left: string[] = [];
  const { clock, server, alive, peers } = world;
  for (const tab of alive) {
    for (const engine of tab.devices.flatMap(({ engines }) => engines)) {
      if (engine.isDestroyed || engine.openSequences === 0) continue;
      left.push(`${tab.options.name} holds KV pages of ${engine.openSequences} sequences`);
    }
  }
  const { mesh } = server;
  if (mesh !== null && mesh.coordinator.inFlight > 0)
    left.push(`${mesh.coordinator.inFlight} answers are in flight`);
  for (const tab of alive) tab.leave();
  await clock.run(5_000);
  for (const tab of alive) {
    if (tab.process.pending > 0) left.push(`${tab.options.name} left ${tab.process.pending} timers`);
    for (const engine of tab.devices.flatMap(({ engines }) => engines)) {
      if (!engine.isDestroyed) left.push(`${tab.options.name} left an engine`);
    }
  }
  if (peers.size > 0) left.push(`${peers.size} ends of connections are left`);
  if (mesh !== null) {
    // Peers that are awaited are given up after a while.
    await clock.run(ALL_RETURN_MS + PEER_RETURN_MS);
    const count = mesh.registry.all().length;
    if (count > 0) left.push(`the registry still has ${count} peers`);
    mesh.close();
    await clock.run(1_000);
    if (server.process.pending > 0) left.push(`the server left ${server.process.pending} timers`);
  }
  if (clock.pending > 0) left.push(`${clock.pending} events are left`);
  return left;
}
