import { expect, it } from 'vitest';
import { StateMachine } from '../../src/mesh/state.ts';

it('a state changes along its table only, and an illegal transition names both states', () => {
  const seen: string[] = [];
  const machine = new StateMachine<'new' | 'open' | 'closed'>(
    'door',
    'new',
    { new: ['open'], open: ['closed'], closed: [] },
    (to, from) => seen.push(`${from}→${to}`),
  );
  machine.to('open');
  expect(() => machine.to('new')).toThrow('door cannot go from open to new');
  expect(machine.state).toBe('open');
  machine.to('closed');
  expect(seen).toEqual(['new→open', 'open→closed']);
});
