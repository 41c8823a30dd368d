import type { ChaosPlan, PlannedFault } from './chaos-plan.ts';
import type { SimClient } from './client.ts';
import type { Host } from './network.ts';
import { SeededRandom } from './random.ts';
import type { SimTab } from './tab.ts';
import type { World } from './world.ts';

export interface ChaosScene {
  readonly world: World;
  readonly plan: ChaosPlan;
  readonly clients: readonly SimClient[];
  /** Opens one more tab, in a browser that was here before where `before` is given. */
  readonly join: (before?: SimTab) => SimTab;
}

/** Lets a fault happen now; what passes is undone by itself. */
export function inflict(scene: ChaosScene, fault: PlannedFault): void {
  const { world } = scene;
  const { clock, server, peers } = world;
  const random = new SeededRandom(fault.draw);
  const victims = random.shuffled(aim(scene, fault.isAimed));
  const [victim, other] = victims;
  const later = (run: () => void) => clock.after(fault.forMs, run);
  switch (fault.kind) {
    case 'kill':
      victim?.kill();
      return;
    case 'vanish':
      victim?.vanish();
      return;
    case 'leave':
      victim?.leave();
      return;
    case 'drain':
      void victim?.drain();
      return;
    case 'reload':
      victim?.kill();
      if (victim !== undefined) later(() => scene.join(victim));
      return;
    case 'freeze':
      victim?.process.freeze();
      later(() => victim?.process.thaw());
      return;
    case 'slow': {
      const end = victim?.slow(random.between(3, 100));
      if (end !== undefined) later(end);
      return;
    }
    case 'lose-socket':
      victim?.loseSocket();
      return;
    case 'lose-device':
      victim?.loseDevice();
      return;
    case 'break-link':
      if (victim !== undefined && other !== undefined) peers.break(victim.host, other.host);
      return;
    case 'cut-link':
      if (victim === undefined || other === undefined) return;
      block(scene, fault, [
        [victim.host, other.host],
        [other.host, victim.host],
      ]);
      return;
    case 'isolate':
      if (victim !== undefined) block(scene, fault, pathsOf(scene, victim.host, random.chance(0.5)));
      return;
    case 'deafen':
      // It speaks, and hears nothing: what one-sided firewalls and full buffers look like.
      if (victim !== undefined)
        block(
          scene,
          fault,
          pathsOf(scene, victim.host, random.chance(0.5)).filter(([, to]) => to === victim.host),
        );
      return;
    case 'server-restart':
      if (server.mesh === null) return;
      server.kill();
      later(() => {
        if (server.mesh === null) server.start();
      });
      return;
    case 'server-freeze': {
      const { process } = server;
      process.freeze();
      later(() => process.thaw());
      return;
    }
    case 'server-unreachable':
      block(
        scene,
        fault,
        world.alive.flatMap(({ host }): [Host, Host][] => [
          [host, server.host],
          [server.host, host],
        ]),
      );
      return;
    case 'join':
      scene.join();
      return;
    case 'hang-up':
      random.pick([...scene.clients, undefined])?.hangUp();
      return;
    default:
      fault.kind satisfies never;
  }
}

function block(
  { world }: ChaosScene,
  { forMs }: PlannedFault,
  paths: readonly (readonly [Host, Host])[],
): void {
  const { network, clock } = world;
  for (const [from, to] of paths) network.block(from, to);
  clock.after(forMs, () => {
    for (const [from, to] of paths) network.unblock(from, to);
  });
}

/** Those who may be hit; where it is aimed, those who compute an answer now. */
function aim({ world, clients }: ChaosScene, isAimed: boolean): SimTab[] {
  const { alive } = world;
  if (!isAimed) return alive;
  const names = new Set(
    clients.filter(({ hasEnded }) => !hasEnded).flatMap(({ routes }) => routes.at(-1)?.split(' ') ?? []),
  );
  const busy = alive.filter(({ options }) => names.has(options.name));
  return busy.length > 0 ? busy : alive;
}

/** To and from everybody else; `server`: that too. */
function pathsOf({ world }: ChaosScene, host: Host, server: boolean): [Host, Host][] {
  const others = world.alive.map((tab) => tab.host).filter((other) => other !== host);
  if (server) others.push(world.server.host);
  return others.flatMap((other): [Host, Host][] => [
    [host, other],
    [other, host],
  ]);
}
