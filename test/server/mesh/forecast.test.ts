import { describe, expect, it } from 'vitest';
import { medianOf } from '../../../src/schedule/mesh-view.ts';
import { stageCostsOf } from '../../../src/schedule/stage-costs.ts';
import { ServedSpeeds } from '../../../src/server/mesh/holdings/served-speeds.ts';
import { NO_CONNECTION, Peer, type PeerStats } from '../../../src/server/mesh/peers/peer.ts';
import { Forecast } from '../../../src/server/mesh/routes/forecast.ts';
import type { MeshRoute } from '../../../src/server/mesh/routes/mesh-route.ts';
import { CAPABILITY } from './capability.ts';
import { COSTS } from './harness.ts';

/** What is said of a route before its first token, and that it is nearer to the truth the more has been served. */

const costs = stageCostsOf(COSTS);
/** Of a step in milliseconds, which no probe knows; and of what no stage tells. */
const stepMs = (start: number, end: number, slow = 1) => slow * (4 + costs.macs(start, end) / 500);
const UNTOLD = 1.4;

function world() {
  let now = 0;
  const speeds = new ServedSpeeds(costs, () => now);
  const forecast = new Forecast({ costs, speeds });
  const peer = (name: string, over: Partial<typeof CAPABILITY> = {}) => {
    const made = new Peer(name, name, NO_CONNECTION);
    made.capability = { ...CAPABILITY, class: 'c', gemvMacsPerSecond: 1e7, ...over };
    return made;
  };
  const reports = (of: Peer, layers: readonly [number, number], ms: number, sequences = 1) => {
    const links = ['a', 'b', 'c', 'd'].map((id) => ({ peer: id, rttMs: 2 }));
    const hop = {
      uploadMs: 0,
      computeMs: ms,
      readbackMs: 0,
      packMs: 0,
      unpackMs: 0,
      wireRttMs: 0,
      bytesPerToken: 0,
    };
    const stats: PeerStats = {
      type: 'stats',
      tokensPerSecond: 1,
      sequences,
      bytesSent: 0,
      bytesReceived: 0,
      hop,
      prefillRowsPerSecond: 2_500 / ms,
      freePositions: 0,
      links,
    };
    of.stats = stats;
    speeds.note(of, stats, layers);
  };
  const route = (...stops: readonly (readonly [Peer, number, number])[]): MeshRoute => ({
    stops: stops.map(([of, start, end]) => ({ peer: of, shard: 1, start, end })),
  });
  /** An answer of so many tokens over the route, whose stages report as they go. @returns what was said of it, and what it had */
  const serve = (on: MeshRoute, tokens = 40) => {
    forecast.began(on);
    const said = forecast.predicted(on);
    const stages = on.stops.map(({ start, end }) => stepMs(start, end));
    const hopsMs = on.stops.length > 1 ? 2 * on.stops.length : 0;
    const tokenMs = UNTOLD * (stages.reduce((sum, ms) => sum + ms, 0) + hopsMs);
    forecast.first(on, 32 * 0.4 * tokenMs, 32, 1);
    for (let i = 1; i < tokens; i++) {
      now += tokenMs;
      forecast.token(on, tokenMs, 1);
      if (i % 10 === 0) {
        for (const { peer: of, start, end } of on.stops)
          reports(of, [start, end], stepMs(start, end, 1 + i / 1e4));
      }
    }
    return { said: said.tokensPerSecond, had: 1_000 / tokenMs };
  };
  return { speeds, forecast, peer, reports, route, serve, later: (ms: number) => (now += ms) };
}

describe('what is said of a placement', () => {
  it('is learnt from those before it, though no two have a cut in common', () => {
    const { forecast, peer, route, serve } = world();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => peer(name)) as [Peer, Peer, Peer, Peer];
    const cuts = [
      route([a, 0, 8]),
      route([a, 0, 4], [b, 4, 8]),
      route([a, 0, 6], [b, 6, 8]),
      route([c, 0, 3], [a, 3, 8]),
      route([a, 0, 3], [b, 3, 6], [c, 6, 8]),
      route([b, 0, 1], [d, 1, 8]),
      route([a, 0, 2], [b, 2, 4], [c, 4, 6], [d, 6, 8]),
      route([d, 0, 7], [c, 7, 8]),
      route([a, 0, 5], [d, 5, 6], [b, 6, 8]),
      route([c, 0, 2], [b, 2, 8]),
    ];
    const errors = cuts.map((cut) => {
      const { said, had } = serve(cut);
      return Math.abs(said - had) / had;
    });
    // Nobody knows anything before the first.
    expect(errors[0]).toBeGreaterThan(1);
    expect(Math.max(...errors.slice(2))).toBeLessThan(0.2);
    expect(forecast.errors.speed).toHaveLength(10);
    for (const [index, error] of forecast.errors.speed.entries())
      expect(error).toBeCloseTo(errors[index]!, 6);
    expect(medianOf(forecast.errors.speed)).toBeLessThan(0.2);
    expect(medianOf(forecast.errors.firstToken)).toBeLessThan(0.2);
  });

  it('of a worker that has served nothing is what others of its class have, by its probe', () => {
    const { speeds, peer, reports } = world();
    const [old, twice, soft] = [peer('old'), peer('twice', { gemvMacsPerSecond: 2e7 }), peer('soft')];
    soft.capability = { ...soft.capability!, adapter: { ...soft.capability!.adapter, isFallback: true } };
    soft.capability = { ...soft.capability, gemvMacsPerSecond: 3e5 };
    reports(old, [0, 8], stepMs(0, 8));
    reports(old, [2, 4], stepMs(2, 4));
    const ms = (of: Peer, start: number, end: number) => {
      const { stepSeconds, macsPerSecond } = speeds.expected(of);
      return 1_000 * (stepSeconds + costs.macs(start, end) / macsPerSecond);
    };
    expect(ms(old, 3, 7)).toBeCloseTo(stepMs(3, 7), 6);
    expect(ms(twice, 3, 7)).toBeCloseTo(stepMs(3, 7) / 2, 6);
    // The probe of a software adapter tells how busy its machine was.
    expect(ms(soft, 3, 7)).toBeCloseTo(stepMs(3, 7), 6);
    const stranger = peer('stranger', { class: 'another' });
    expect(speeds.expected(stranger)).toEqual(speeds.cost(stranger));
    expect(speeds.prefillRowsPerSecond(twice, 0, 8)).not.toBeNull();
    expect(speeds.prefillRowsPerSecond(stranger, 0, 8)).toBeNull();
  });

  it('is not moved by tokens beside others’, nor by what is told twice', () => {
    const { forecast, speeds, peer, reports, route } = world();
    const [a, b] = [peer('a'), peer('b')];
    const on = route([a, 0, 8]);
    forecast.began(on);
    const before = forecast.predicted(on);
    forecast.token(on, 5_000, 2);
    forecast.first(on, 5_000, 32, 2);
    reports(a, [0, 8], 5_000, 2);
    expect(forecast.predicted(on)).toEqual(before);
    expect(forecast.measured).toBeNull();
    for (let i = 0; i < 20; i++) reports(b, [0, 8], 7);
    expect(speeds.isServed(b)).toBe(false);
    // Another route is another placement's.
    forecast.token(route([b, 0, 8]), 100, 1);
    expect(forecast.measured).toBeNull();
    forecast.token(on, 100, 1);
    expect(forecast.measured!.tokensPerSecond).toBeCloseTo(10, 6);
  });
});
