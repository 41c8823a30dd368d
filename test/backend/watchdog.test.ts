import { describe, expect, it } from 'vitest';
import { Watchdog } from '../../src/backend/watchdog.ts';
import { ManualClock } from '../support/manual-clock.ts';

const settle = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

function watched() {
  const clock = new ManualClock();
  const silences: number[] = [];
  const dog = new Watchdog(clock, (ms) => silences.push(ms));
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  return { clock, silences, dog, pass };
}

describe('Watchdog', () => {
  it('tells of silence once, with the deadline that passed', async () => {
    const { dog, silences, pass, clock } = watched();
    dog.arm(100);
    await pass(99);
    expect(silences).toEqual([]);
    await pass(1);
    await pass(1_000);
    expect(silences).toEqual([100]);
    expect(clock.waitingMs).toEqual([]);
  });

  it('is put off by every sign of life, with one timer', async () => {
    const { dog, silences, pass, clock } = watched();
    for (let sign = 0; sign < 20; sign++) {
      dog.arm(100);
      expect(clock.waitingMs).toHaveLength(1);
      await pass(60);
    }
    expect(silences).toEqual([]);
    await pass(40);
    expect(silences).toEqual([100]);
  });

  it('takes a nearer deadline too', async () => {
    const { dog, silences, pass } = watched();
    dog.arm(1_000);
    dog.arm(10);
    await pass(10);
    expect(silences).toEqual([10]);
  });

  it('rests until it is armed again', async () => {
    const { dog, silences, pass } = watched();
    dog.arm(100);
    dog.rest();
    await pass(500);
    expect(silences).toEqual([]);
    dog.arm(100);
    await pass(100);
    expect(silences).toEqual([100]);
  });

  it('leaves no timer when stopped, and can be armed in the same turn', async () => {
    const { dog, silences, pass, clock } = watched();
    dog.arm(100);
    dog.stop();
    dog.arm(200);
    await pass(150);
    expect(silences).toEqual([]);
    await pass(50);
    expect(silences).toEqual([200]);
    dog.arm(100);
    dog.stop();
    await settle();
    expect(clock.waitingMs).toEqual([]);
  });
});
