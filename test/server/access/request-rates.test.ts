import { expect, it } from 'vitest';
import { MAX_RATED_CLIENTS } from '../../../src/config/limits.ts';
import { RequestRates } from '../../../src/server/access/request-rates.ts';

it('a flood from more clients than are remembered gives nobody a fresh start who keeps asking', () => {
  const rates = new RequestRates(() => 0);
  rates.take('insistent', 1);
  for (let i = 0; i < 2 * MAX_RATED_CLIENTS; i++) {
    rates.take(`other ${i}`, 1);
    if (i % (MAX_RATED_CLIENTS / 2) === 0) expect(() => rates.take('insistent', 1)).toThrow(/more than 1/);
  }
  expect(() => rates.take('insistent', 1)).toThrow(/more than 1/);
  // The bound holds: who was silent longest is forgotten.
  rates.take('other 0', 1);
});

it('a limit that changes counts anew', () => {
  const rates = new RequestRates(() => 0);
  rates.take('key', 1);
  expect(() => rates.take('key', 1)).toThrow();
  rates.take('key', 2);
});
