import { describe, expect, it } from 'vitest';
import { ShoalError } from '../../../src/config/errors.ts';
import { CAPACITY_RETRY_MS, MAX_SEQUENCES_PER_STAGE } from '../../../src/config/limits.ts';
import type { Timers } from '../../../src/mesh/timers.ts';
import { Slots } from '../../../src/server/mesh/generations/slots.ts';
import type { MeshRoute } from '../../../src/server/mesh/routes/mesh-route.ts';

/** Tickets in the order in which they were let in. */
function setUp() {
  const route: MeshRoute = { stops: [] };
  let running = 0;
  let retry: (() => void) | null = null;
  const timers: Timers = {
    now: () => 0,
    after: (ms, run) => {
      expect(ms).toBe(CAPACITY_RETRY_MS);
      retry = run;
      return () => {
        retry = null;
      };
    },
  };
  const routes = {
    choose: () => (running < MAX_SEQUENCES_PER_STAGE ? route : null),
    enter: () => void running++,
  };
  const slots = new Slots(routes, timers);
  const admitted: number[] = [];
  const rounds = new Map<number, number>();
  const wait = (ticket: number, isResumed = false, client = '') => {
    const round = rounds.get(ticket) ?? slots.roundFor(client);
    rounds.set(ticket, round);
    const turn = { client, round, ticket, isResumed };
    return slots
      .acquire(turn, { positions: 1 }, new AbortController().signal)
      .then(() => admitted.push(ticket));
  };
  const leave = (ticket: number, hadRoom: boolean) => {
    running--;
    slots.released(ticket, hadRoom);
  };
  const refuse = (ticket: number) => {
    slots.refused(ticket);
    leave(ticket, false);
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { slots, admitted, wait, leave, refuse, settled, retry: () => retry?.() };
}

describe('slots', () => {
  it('go to those who wait in turn by client, resumed ones first', async () => {
    const { admitted, wait, leave, settled } = setUp();
    for (let i = 0; i < MAX_SEQUENCES_PER_STAGE; i++) await wait(i);
    admitted.length = 0;
    void wait(101, false, 'a');
    void wait(102, false, 'a');
    void wait(103, false, 'a');
    void wait(104, false, 'b');
    void wait(105, false, 'c');
    // In the middle of its answer.
    void wait(106, true, 'a');
    await settled();
    for (let i = 0; i < 6; i++) leave(i, true);
    await settled();
    expect(admitted).toEqual([106, 101, 104, 105, 102, 103]);
  });

  it('are given up by whoever has the most, where no more may wait', async () => {
    const { slots, admitted, wait, leave, settled } = setUp();
    for (let i = 0; i < MAX_SEQUENCES_PER_STAGE; i++) await wait(i, false, 'a');
    admitted.length = 0;
    void wait(101, false, 'a');
    const last = wait(102, false, 'a');
    const full = new ShoalError('OVERLOADED', 'full');
    expect(slots.makeRoom('a', new Map([['a', MAX_SEQUENCES_PER_STAGE + 2]]), full)).toBe(false);
    expect(slots.makeRoom('b', new Map([['a', MAX_SEQUENCES_PER_STAGE + 2]]), full)).toBe(true);
    await expect(last).rejects.toBe(full);
    void wait(103, false, 'b');
    for (let i = 0; i < 2; i++) leave(i, true);
    await settled();
    expect(admitted).toEqual([101, 103]);
  });

  it('are refused by a stage without room: nobody overtakes, and a departure wakes at once', async () => {
    const { slots, admitted, wait, leave, refuse, settled } = setUp();
    await wait(1);
    slots.opened(1);
    await wait(2);
    refuse(2);
    void wait(3);
    void wait(2);
    await settled();
    expect(admitted).toEqual([1, 2]);
    leave(1, true);
    await settled();
    // One at a time: whether there is room for the next is known when the first is open.
    expect(admitted).toEqual([1, 2, 2]);
    slots.opened(2);
    await settled();
    expect(admitted).toEqual([1, 2, 2, 3]);
  });

  it('without a departure are tried again after a while', async () => {
    const { admitted, wait, refuse, settled, retry } = setUp();
    await wait(1);
    refuse(1);
    void wait(1);
    await settled();
    expect(admitted).toEqual([1]);
    retry();
    await settled();
    expect(admitted).toEqual([1, 1]);
  });

  it('pass on when who was let in goes away before it is open', async () => {
    const { admitted, wait, leave, refuse, settled, retry } = setUp();
    await wait(1);
    refuse(1);
    void wait(2);
    void wait(3);
    retry();
    await settled();
    expect(admitted).toEqual([1, 2]);
    leave(2, false);
    await settled();
    expect(admitted).toEqual([1, 2, 3]);
  });
});
