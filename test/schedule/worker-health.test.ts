import { beforeEach, describe, expect, it } from 'vitest';
import {
  FAILURE_MEMORY_MS,
  LINK_AVOID_MS,
  LINK_ECHO_MS,
  LIVENESS_IDLE_SILENT_MS,
  LIVENESS_SILENT_MS,
  MAX_REMEMBERED_WORKERS,
  MISBEHAVED_BACKOFF_MS,
  SERVED_HALF_LIFE_MS,
  SUSPICION_MS,
  TRUSTED_TOKENS,
  WORKER_BACKOFF_MAX_MS,
  WORKER_BACKOFF_MIN_MS,
} from '../../src/config/limits.ts';
import type { HealthEvent, Verdict } from '../../src/schedule/health/health-events.ts';
import { WorkerHealth } from '../../src/schedule/health/worker-health.ts';

/** Health with a clock, in which peers that are named live on and say so. */
class Room {
  readonly health = new WorkerHealth();
  nowMs = 1_000_000;
  readonly #alive = new Set<string>();

  note(event: HealthEvent): readonly Verdict[] {
    return this.health.note(event, this.nowMs);
  }

  join(...peers: string[]): void {
    for (const peer of peers) {
      this.note({ kind: 'joined', peer, address: `home of ${peer}` });
      this.#alive.add(peer);
    }
  }

  /** Joined, and have served `tokens` on one route. */
  joinTrusted(peers: readonly string[], tokens = TRUSTED_TOKENS): void {
    this.join(...peers);
    for (let i = 0; i < tokens; i++) this.round(peers);
  }

  /** A token came round after `elapsedMs`; 10 ms a stage are expected. */
  round(peers: readonly string[], elapsedMs = 10 * peers.length, sharing = 1): readonly Verdict[] {
    const stages = peers.map((peer) => ({ peer, expectedMs: 10 }));
    return this.note({ kind: 'served', stages, elapsedMs, sharing });
  }

  freeze(peer: string): void {
    this.#alive.delete(peer);
  }

  thaw(peer: string): void {
    this.#alive.add(peer);
    this.note({ kind: 'heard', peer });
  }

  /** In steps of a second, in which all that live speak. */
  wait(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + 1_000);
      for (const peer of this.#alive) this.note({ kind: 'heard', peer });
    }
  }

  mayHold(peer: string) {
    return this.health.mayHold(peer, this.nowMs);
  }

  mayServe(peer: string) {
    return this.health.mayServe(peer, this.nowMs);
  }

  state(peer: string) {
    return this.health.trustOf(peer, this.nowMs)?.state;
  }
}

const named = (verdicts: readonly Verdict[]) => [...new Set(verdicts.map(({ peer }) => peer))];

let room: Room;
beforeEach(() => {
  room = new Room();
});

describe('a newcomer', () => {
  it('holds layers beside others, and serves after a probe', () => {
    room.join('new');
    expect([room.mayHold('new'), room.mayServe('new')]).toEqual(['replica', 'after-probe']);
    room.note({ kind: 'proved', peer: 'new', isVouched: false });
    expect([room.mayHold('new'), room.mayServe('new'), room.state('new')]).toEqual(['yes', 'yes', 'trusted']);
  });

  it('is trusted, too, after a short answer', () => {
    room.joinTrusted(['new'], TRUSTED_TOKENS - 1);
    expect(room.state('new')).toBe('newcomer');
    room.round(['new']);
    expect(room.state('new')).toBe('trusted');
  });

  it('that nobody knows gets nothing', () => {
    expect([room.mayHold('x'), room.mayServe('x'), room.state('x')]).toEqual(['no', 'no', undefined]);
    expect(room.health.believedShare('x')).toBeNull();
    expect(room.note({ kind: 'failed', peer: 'x' })).toEqual([]);
    expect(room.note({ kind: 'stalled', peers: ['x'] })).toEqual([]);
  });
});

describe('a frozen tab', () => {
  it('gets no layers until it has spoken, whatever its back-off', () => {
    room.joinTrusted(['frozen', 'other']);
    room.note({ kind: 'paced', peer: 'frozen', pace: 'holding' });
    room.freeze('frozen');
    room.wait(LIVENESS_SILENT_MS - 1);
    expect(room.mayHold('frozen')).toBe('yes');
    room.wait(1);
    // Its neighbours may hear it; layers are another thing.
    expect([room.mayHold('frozen'), room.mayServe('frozen')]).toEqual(['no', 'if-needed']);
    room.note({ kind: 'not-opened', peers: ['frozen'] });
    expect(room.mayServe('frozen')).toBe('no');
    room.wait(60 * WORKER_BACKOFF_MIN_MS);
    expect(room.mayHold('frozen')).toBe('no');
    expect(room.health.trustOf('frozen', room.nowMs)).toMatchObject({ state: 'trusted', isSilent: true });
    room.thaw('frozen');
    expect(room.mayHold('frozen')).toBe('yes');
    expect(room.mayHold('other')).toBe('yes');
  });

  it('has longer where it holds nothing, as it speaks less often', () => {
    room.join('idle');
    room.freeze('idle');
    room.wait(LIVENESS_IDLE_SILENT_MS - 1);
    expect(room.mayHold('idle')).toBe('replica');
    expect(room.health.nextChangeMs(room.nowMs)).toBe(room.nowMs + 1);
    room.wait(1);
    expect(room.mayHold('idle')).toBe('no');
    expect(room.health.nextChangeMs(room.nowMs)).toBeNull();
  });

  it('is named for a stall before those that speak', () => {
    room.joinTrusted(['a', 'frozen', 'c']);
    room.note({ kind: 'paced', peer: 'frozen', pace: 'holding' });
    room.freeze('frozen');
    room.wait(LIVENESS_SILENT_MS);
    expect(named(room.note({ kind: 'stalled', peers: ['a', 'frozen', 'c'] }))).toEqual(['frozen']);
    expect([room.state('a'), room.state('frozen'), room.state('c')]).toEqual([
      'trusted',
      'excluded',
      'trusted',
    ]);
  });
});

describe('failures', () => {
  it('to load keep it out for a while that doubles, up to the maximum, until it has loaded', () => {
    room.join('a');
    const fail = () =>
      room.note({ kind: 'load-failed', peer: 'a', isTooSlow: false })[0]!.untilMs - room.nowMs;
    expect([fail(), fail(), fail()]).toEqual([1, 2, 4].map((times) => times * WORKER_BACKOFF_MIN_MS));
    expect(room.mayHold('a')).toBe('no');
    for (let i = 0; i < 40; i++) fail();
    expect(fail()).toBe(WORKER_BACKOFF_MAX_MS);
    room.wait(WORKER_BACKOFF_MAX_MS);
    expect(room.mayHold('a')).toBe('replica');
    room.note({ kind: 'loaded', peer: 'a' });
    expect(fail()).toBe(WORKER_BACKOFF_MIN_MS);
  });

  it('to serve are forgiven by a token only', () => {
    room.joinTrusted(['a']);
    const fail = () => room.note({ kind: 'not-opened', peers: ['a'] })[0]!.untilMs - room.nowMs;
    expect(fail()).toBe(WORKER_BACKOFF_MIN_MS);
    room.note({ kind: 'loaded', peer: 'a' });
    expect(fail()).toBe(2 * WORKER_BACKOFF_MIN_MS);
    room.wait(2 * WORKER_BACKOFF_MIN_MS);
    room.round(['a']);
    expect(fail()).toBe(WORKER_BACKOFF_MIN_MS);
  });

  it('to load say nothing against what it holds', () => {
    room.joinTrusted(['a']);
    room.note({ kind: 'load-failed', peer: 'a', isTooSlow: false });
    expect([room.mayHold('a'), room.mayServe('a')]).toEqual(['no', 'yes']);
    room.note({ kind: 'failed', peer: 'a' });
    expect(room.mayServe('a')).toBe('no');
    // A load that succeeds does not forgive the other.
    room.note({ kind: 'loaded', peer: 'a' });
    expect([room.mayHold('a'), room.mayServe('a')]).toEqual(['no', 'no']);
  });

  it('are told when they end', () => {
    room.join('a');
    room.note({ kind: 'load-failed', peer: 'a', isTooSlow: true });
    expect(room.health.nextChangeMs(room.nowMs)).toBe(room.nowMs + WORKER_BACKOFF_MIN_MS);
    expect(room.health.trustOf('a', room.nowMs)).toEqual({
      state: 'excluded',
      untilMs: room.nowMs + WORKER_BACKOFF_MIN_MS,
      reason: 'loads too slowly',
      isSilent: false,
    });
    room.wait(WORKER_BACKOFF_MIN_MS);
    expect(room.health.trustOf('a', room.nowMs)?.reason).toBeNull();
  });

  it('are remembered while it is away, and what it has served too', () => {
    room.joinTrusted(['a']);
    room.note({ kind: 'not-opened', peers: ['a'] });
    room.note({ kind: 'gone', peer: 'a' });
    expect(room.state('a')).toBeUndefined();
    room.wait(1_000);
    room.join('a');
    expect(room.state('a')).toBe('excluded');
    room.wait(WORKER_BACKOFF_MIN_MS);
    expect(room.state('a')).toBe('trusted');
  });

  it('of those that are gone are forgotten when there are too many', () => {
    room.joinTrusted(['a']);
    room.note({ kind: 'gone', peer: 'a' });
    for (let i = 0; i < MAX_REMEMBERED_WORKERS; i++) {
      room.note({ kind: 'joined', peer: `p${i}`, address: null });
      room.note({ kind: 'gone', peer: `p${i}` });
    }
    room.join('a');
    expect(room.state('a')).toBe('newcomer');
  });
});

describe('what no working worker does', () => {
  it.each(['token-out-of-vocabulary', 'wrong-token', 'non-finite'] as const)(
    '%s: out at once and for longer, and then a newcomer again',
    (how) => {
      room.joinTrusted(['liar', 'honest']);
      const [verdict] = room.note({ kind: 'misbehaved', peer: 'liar', how });
      expect(verdict).toMatchObject({ peer: 'liar' });
      expect(verdict!.untilMs).toBe(room.nowMs + MISBEHAVED_BACKOFF_MS);
      expect(room.state('honest')).toBe('trusted');
      room.wait(MISBEHAVED_BACKOFF_MS);
      expect([room.state('liar'), room.mayServe('liar')]).toEqual(['newcomer', 'after-probe']);
      // Tokens do not end the doubling.
      for (let i = 0; i < TRUSTED_TOKENS; i++) room.round(['liar', 'honest']);
      const again = room.note({ kind: 'misbehaved', peer: 'liar', how });
      expect(again[0]!.untilMs).toBe(room.nowMs + 2 * MISBEHAVED_BACKOFF_MS);
    },
  );
});

describe('a bad link', () => {
  it('that a newcomer reports again and again moves the newcomer, and nobody who has served', () => {
    const honest = Array.from({ length: 8 }, (_, i) => `honest${i}`);
    room.joinTrusted(honest);
    room.join('stranger');
    let times = 0;
    for (let i = 0; i < 53; i++) {
      times += room.note({ kind: 'link-reported', by: 'stranger', about: honest[i % honest.length]! }).length;
      room.wait(1_400);
    }
    expect(honest.map((peer) => room.state(peer))).toEqual(honest.map(() => 'trusted'));
    expect(room.mayHold('stranger')).toBe('no');
    // Ever longer: a handful of times in 75 s.
    expect(times).toBeLessThanOrEqual(5);
  });

  it('that newcomers report together moves them, too', () => {
    room.joinTrusted(['honest']);
    room.join('s1', 's2', 's3');
    for (const by of ['s1', 's2', 's3']) room.note({ kind: 'link-reported', by, about: 'honest' });
    expect(room.state('honest')).toBe('trusted');
    expect(['s1', 's2', 's3'].map((peer) => room.state(peer))).toEqual(Array(3).fill('excluded'));
  });

  it('moves whom two report that have served', () => {
    room.joinTrusted(['a', 'b', 'old'], 100);
    expect(named(room.note({ kind: 'link-reported', by: 'a', about: 'old' }))).toEqual(['old']);
    room = new Room();
    room.joinTrusted(['old'], 100);
    room.joinTrusted(['a', 'b']);
    // One word against another: `a` has served less.
    expect(named(room.note({ kind: 'link-reported', by: 'a', about: 'old' }))).toEqual(['a']);
    const [verdict] = room.note({ kind: 'link-reported', by: 'b', about: 'old' });
    expect(verdict).toMatchObject({ peer: 'old' });
    expect(room.state('old')).toBe('excluded');
  });

  it('is one voice where two of one address report it', () => {
    room.joinTrusted(['old'], 100);
    for (const peer of ['a', 'b']) {
      room.note({ kind: 'joined', peer, address: 'one home' });
      for (let i = 0; i < TRUSTED_TOKENS; i++) room.round([peer]);
    }
    room.note({ kind: 'link-reported', by: 'a', about: 'old' });
    expect(named(room.note({ kind: 'link-reported', by: 'b', about: 'old' }))).toEqual(['b']);
    expect(room.state('old')).toBe('trusted');
  });

  it('is judged again when it fails again', () => {
    room.joinTrusted(['a', 'b']);
    expect(named(room.note({ kind: 'link-reported', by: 'a', about: 'b' }))).toEqual(['b']);
    room.wait(WORKER_BACKOFF_MIN_MS + LINK_ECHO_MS);
    expect(named(room.note({ kind: 'link-reported', by: 'b', about: 'a' }))).toHaveLength(1);
  });

  it('is judged once, whichever end says so, and keeps the pair apart for a while', () => {
    room.joinTrusted(['a', 'b']);
    expect(room.health.mayLink('a', 'b', room.nowMs)).toBe(true);
    expect(named(room.note({ kind: 'link-reported', by: 'a', about: 'b' }))).toEqual(['b']);
    expect(room.note({ kind: 'link-reported', by: 'b', about: 'a' })).toEqual([]);
    expect(room.health.mayLink('b', 'a', room.nowMs)).toBe(false);
    room.wait(LINK_AVOID_MS);
    expect(room.health.mayLink('b', 'a', room.nowMs)).toBe(true);
  });

  it('to one that the server does not hear either moves that one, whatever it has served', () => {
    room.joinTrusted(['frozen'], 100);
    room.joinTrusted(['b']);
    room.note({ kind: 'paced', peer: 'frozen', pace: 'holding' });
    room.freeze('frozen');
    room.wait(LIVENESS_SILENT_MS);
    expect(named(room.note({ kind: 'link-reported', by: 'b', about: 'frozen' }))).toEqual(['frozen']);
    expect(room.state('b')).toBe('trusted');
  });

  it('that was served long ago counts less than what is served now', () => {
    room.joinTrusted(['once'], 200);
    room.wait(10 * SERVED_HALF_LIFE_MS);
    room.joinTrusted(['now'], 100);
    expect(named(room.note({ kind: 'link-reported', by: 'once', about: 'now' }))).toEqual(['once']);
  });

  it('is not judged by who is kept out', () => {
    room.joinTrusted(['old']);
    room.join('stranger');
    room.note({ kind: 'load-failed', peer: 'stranger', isTooSlow: false });
    expect(room.note({ kind: 'link-reported', by: 'stranger', about: 'old' })).toEqual([]);
    expect(room.note({ kind: 'link-reported', by: 'nobody', about: 'old' })).toEqual([]);
    expect(room.note({ kind: 'link-reported', by: 'old', about: 'old' })).toEqual([]);
  });
});

describe('a stall', () => {
  it('suspects the newcomer first', () => {
    room.joinTrusted(['a', 'b']);
    room.join('new');
    expect(named(room.note({ kind: 'stalled', peers: ['a', 'new', 'b'] }))).toEqual(['new']);
    expect(room.state('new')).toBe('excluded');
  });

  it('is found by who is in every route that stalls, one name at a time', () => {
    room.joinTrusted(['a', 'b', 'c', 'd', 'bad']);
    // Nothing tells them apart: the last, whose tokens they are.
    expect(named(room.note({ kind: 'stalled', peers: ['a', 'bad', 'b'] }))).toEqual(['b']);
    room.round(['a', 'c']);
    expect(named(room.note({ kind: 'stalled', peers: ['a', 'bad', 'd'] }))).toEqual(['bad']);
    room.round(['a', 'c', 'd']);
    room.wait(WORKER_BACKOFF_MIN_MS);
    expect(['bad', 'b'].map((peer) => room.mayHold(peer))).toEqual(['if-needed', 'if-needed']);
    expect(room.mayServe('bad')).toBe('if-needed');
    room.round(['a', 'b']);
    expect([room.state('b'), room.state('bad')]).toEqual(['trusted', 'suspected']);
    room.wait(SUSPICION_MS);
    expect(room.state('bad')).toBe('trusted');
  });

  it('names who has served least, then who is last', () => {
    room.joinTrusted(['old'], 100);
    room.joinTrusted(['young', 'same']);
    expect(named(room.note({ kind: 'stalled', peers: ['young', 'same', 'old'] }))).toEqual(['same']);
  });
});

describe('speed', () => {
  it('is believed when served: the best round counts', () => {
    room.join('a', 'b', 'slow');
    expect(room.health.believedShare('a')).toBeNull();
    room.round(['a', 'slow'], 200);
    expect(room.health.believedShare('a')).toBeCloseTo(0.1);
    room.round(['a', 'b'], 20);
    expect(room.health.believedShare('a')).toBe(1);
    expect(room.health.believedShare('slow')).toBeCloseTo(0.1);
    // Faster than it says is no reason to be given more.
    room.round(['b'], 1);
    expect(room.health.believedShare('b')).toBe(1);
  });

  it('finds who sends a token every 50 s, at the first', () => {
    room.joinTrusted(['a', 'b']);
    room.join('slow');
    room.note({ kind: 'proved', peer: 'slow', isVouched: false });
    room.note({ kind: 'stalled', peers: ['slow'] });
    room.wait(WORKER_BACKOFF_MIN_MS + SUSPICION_MS);
    room.round(['a', 'b']);
    expect(named(room.round(['a', 'slow', 'b'], 50_000))).toEqual(['slow']);
    expect(room.state('slow')).toBe('excluded');
    expect([room.state('a'), room.state('b')]).toEqual(['trusted', 'trusted']);
  });

  it.each([true, false])('finds who is 10 times slower than it said; others serve besides: %s', (besides) => {
    room.joinTrusted(['a', 'b']);
    room.join('slow');
    let verdicts: readonly Verdict[] = [];
    for (let waitedMs = 0; verdicts.length === 0 && waitedMs < 60_000; waitedMs += 2_000) {
      verdicts = room.round(['a', 'slow', 'b'], 2_000);
      if (besides) room.round(['a', 'b']);
    }
    expect(named(verdicts)).toEqual(['slow']);
    expect(room.health.believedShare('slow')).toBeLessThanOrEqual(0.1);
    expect(['a', 'slow', 'b'].map((peer) => room.state(peer))).toEqual(['trusted', 'excluded', 'trusted']);
    // Slow tokens make nobody trusted.
    room.wait(WORKER_BACKOFF_MIN_MS + SUSPICION_MS);
    expect(room.state('slow')).toBe('newcomer');
  });

  it('is not lost by who is busy, or by milliseconds', () => {
    room.joinTrusted(['a']);
    for (let i = 0; i < 1_000; i++) {
      expect(room.round(['a'], 3_000, 32)).toEqual([]);
      expect(room.round(['a'], 900)).toEqual([]);
    }
    expect(room.state('a')).toBe('trusted');
  });

  it('believes no newcomer against one that has served more', () => {
    room.joinTrusted(['a', 'b']);
    room.join('new');
    const [old, fresh, now] = ['a', 'new', room.nowMs];
    expect(room.health.isCredible(old, fresh, now)).toBe(true);
    expect(room.health.isCredible(fresh, old, now)).toBe(false);
    expect(room.health.isCredible('a', 'b', now)).toBe(true);
    expect(room.health.isCredible('nobody', 'b', now)).toBe(false);
  });
});

describe('a new id', () => {
  const from = (peer: string, address: string | null) => room.note({ kind: 'joined', peer, address });

  it('does not wash: what the last of its address is kept out for, it answers for', () => {
    from('stranger', 'cafe');
    room.note({ kind: 'misbehaved', peer: 'stranger', how: 'wrong-token' });
    room.note({ kind: 'gone', peer: 'stranger' });
    from('again', 'cafe');
    expect([room.mayHold('again'), room.mayServe('again')]).toEqual(['if-needed', 'after-probe']);
    expect(room.health.trustOf('again', room.nowMs)).toMatchObject({
      untilMs: room.nowMs + MISBEHAVED_BACKOFF_MS,
      reason: expect.stringContaining('another worker at its address'),
    });
    // Its own failure doubles the one before.
    const [verdict] = room.note({ kind: 'misbehaved', peer: 'again', how: 'wrong-token' });
    expect(verdict!.untilMs).toBe(room.nowMs + 2 * MISBEHAVED_BACKOFF_MS);
  });

  it('is held to it until it has proved itself', () => {
    from('stranger', 'cafe');
    room.note({ kind: 'load-failed', peer: 'stranger', isTooSlow: true });
    from('guest', 'cafe');
    expect(room.mayHold('guest')).toBe('if-needed');
    room.note({ kind: 'proved', peer: 'guest', isVouched: false });
    expect([room.mayHold('guest'), room.mayServe('guest')]).toEqual(['yes', 'yes']);
  });

  it('of another address, of none, or a long time after is not concerned', () => {
    from('stranger', 'cafe');
    room.note({ kind: 'load-failed', peer: 'stranger', isTooSlow: true });
    from('elsewhere', 'home');
    from('nowhere', null);
    expect([room.mayHold('elsewhere'), room.mayHold('nowhere')]).toEqual(['replica', 'replica']);
    room.nowMs += WORKER_BACKOFF_MIN_MS + FAILURE_MEMORY_MS + 1;
    from('later', 'cafe');
    expect(room.mayHold('later')).toBe('replica');
    const [verdict] = room.note({ kind: 'load-failed', peer: 'later', isTooSlow: false });
    expect(verdict!.untilMs).toBe(room.nowMs + WORKER_BACKOFF_MIN_MS);
  });

  it('leaves alone who has served from there', () => {
    from('neighbour', 'cafe');
    for (let i = 0; i < TRUSTED_TOKENS; i++) room.round(['neighbour']);
    from('stranger', 'cafe');
    room.note({ kind: 'misbehaved', peer: 'stranger', how: 'flood' });
    expect(room.state('neighbour')).toBe('trusted');
  });
});

describe('who loses what runs on it', () => {
  it('serves where nobody else can, is out when it goes on, and no token ends that', () => {
    room.join('a');
    room.joinTrusted(['b', 'c']);
    expect(room.note({ kind: 'losing', peer: 'b' })).toEqual([]);
    expect(room.health.mayServe('b', room.nowMs)).toBe('if-needed');
    room.round(['b', 'c']);
    expect(room.health.mayServe('b', room.nowMs)).toBe('if-needed');
    expect(room.note({ kind: 'losing', peer: 'b' })).toMatchObject([{ peer: 'b' }]);
    expect(room.health.mayServe('b', room.nowMs)).toBe('no');
    expect(room.health.mayServe('c', room.nowMs)).toBe('yes');
  });
});
