import { describe, expect, it } from 'vitest';
import type { Status } from '../../../src/mesh/protocol/status.ts';
import { chooseOffer, modelState, offers, offerText } from '../../../src/page/chat/chosen-model.ts';

type NodeStatus = Status['nodes'][number];
const ANN = { id: 'provider-1-a', name: 'Ann' };
const BOB = { id: 'provider-2-b', name: 'Bob' };

const node = (
  id: string,
  state: NodeStatus['state'],
  models: string[],
  lender?: NodeStatus['lender'],
): NodeStatus => ({
  id,
  name: id,
  provider: 'custom',
  state,
  inFlight: 0,
  maxConcurrent: 1,
  models,
  timeToFirstTokenMs: null,
  tokensPerSecond: null,
  lastError: null,
  ...(lender && { lender }),
});
const status = (nodes: NodeStatus[], model: Status['model'] = null): Status => ({
  provider: 'fxn',
  ready: true,
  detail: '',
  model,
  pipeline: null,
  workers: [],
  nodes,
  requestsInFlight: 0,
});
const lent = (by: typeof ANN, ...models: string[]) => node(`n-${by.id}`, 'ready', models, by);

it('offers each model once, what can be answered now first, the mesh’s before its workers came, and names lenders', () => {
  const minnow = { id: 'minnow', layers: 8, contextLength: 512 };
  expect(offers(null)).toEqual([]);
  expect(offers(status([], minnow))).toEqual([{ model: 'minnow', isOwn: true, lenders: [] }]);
  const all = offers(
    status(
      [
        node('mesh', 'failing', ['minnow']),
        node('a', 'ready', ['x', 'y']),
        node('b', 'busy', ['y', 'z'], ANN),
        node('c', 'busy', ['z'], BOB),
      ],
      minnow,
    ),
  );
  expect(all.map(offerText)).toEqual(['x', 'y', 'z, lent by Ann or Bob', 'minnow']);
});

describe('the model of a chat', () => {
  const none = { model: '', lenders: [] };

  it('is the first before anything was chosen or asked', () => {
    expect(modelState(none, status([node('a', 'ready', ['x', 'y'])]), false)).toMatchObject({ model: 'x' });
    expect(modelState(none, null, false)).toEqual({ type: 'none' });
  });

  it('stays the chosen one whatever comes first, and is gone when it is gone', () => {
    const chosen = { model: 'y', lenders: [] };
    const both = status([node('a', 'ready', ['x']), node('b', 'failing', ['y'])]);
    expect(modelState(chosen, both, true)).toEqual({ type: 'offered', model: 'y', lenders: [] });
    const left = status([node('a', 'ready', ['x'])]);
    const others = [{ model: 'x', isOwn: true, lenders: [] }];
    for (const hasBegun of [true, false])
      expect(modelState(chosen, left, hasBegun)).toEqual({ type: 'gone', model: 'y', others });
  });

  it('is not called gone before the server has said what it has', () => {
    const chosen = { model: 'y', lenders: [] };
    expect(modelState(chosen, null, true)).toEqual({ type: 'unsure', model: 'y' });
    const starting = status([node('a', 'probing', [])]);
    expect(modelState(chosen, starting, true)).toEqual({ type: 'unsure', model: 'y' });
    expect(modelState(chosen, status([node('a', 'failing', [])]), true)).toMatchObject({ type: 'gone' });
  });

  it('may be read by those who read it before, and by no other lender unasked', () => {
    const chosen = { model: 'y', lenders: [ANN] };
    const two = status([lent(ANN, 'y'), lent(BOB, 'y')]);
    expect(modelState(chosen, two, true)).toEqual({ type: 'offered', model: 'y', lenders: [ANN] });
    const bobs = status([lent(BOB, 'y')]);
    const state = modelState(chosen, bobs, true);
    expect(state).toEqual({
      type: 'other-lenders',
      model: 'y',
      offer: { model: 'y', isOwn: false, lenders: [BOB] },
    });
    const asked = chooseOffer(chosen, (state as Extract<typeof state, { type: 'other-lenders' }>).offer);
    expect(modelState(asked, bobs, true)).toEqual({ type: 'offered', model: 'y', lenders: [BOB] });
  });

  it('is another lender’s when one comes back under the same name', () => {
    const again = status([lent({ id: 'provider-9-z', name: 'Ann' }, 'y')]);
    expect(modelState({ model: 'y', lenders: [ANN] }, again, true).type).toBe('other-lenders');
  });

  it('stays with the server’s own where that has it', () => {
    const both = status([node('a', 'ready', ['y']), lent(BOB, 'y')]);
    expect(modelState({ model: 'y', lenders: [] }, both, true)).toEqual({
      type: 'offered',
      model: 'y',
      lenders: [],
    });
  });
});
