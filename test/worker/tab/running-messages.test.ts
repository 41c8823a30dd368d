import { expect, it } from 'vitest';
import { MAX_RUNNING_PER_MESSAGE } from '../../../src/config/limits.ts';
import { parsePeerMessage, writeMessage } from '../../../src/mesh/protocol/codec.ts';
import { runningMessages } from '../../../src/worker/tab/running-messages.ts';
import { running } from './scripted-worker.ts';

/** What goes through the codec comes out as it was. */
function arrived(messages: ReturnType<typeof runningMessages>) {
  const parsed = messages.map((message) => parsePeerMessage(writeMessage(message)));
  expect(parsed).toEqual(messages);
  return messages.map(({ sequences, last }) => [sequences.length, last]);
}

it('says that there are none', () => {
  expect(arrived(runningMessages([]))).toEqual([[0, true]]);
});

it('fills messages up to their number', () => {
  const sequences = Array.from({ length: 2 * MAX_RUNNING_PER_MESSAGE }, (_, i) => running(i));
  expect(arrived(runningMessages(sequences))).toEqual([
    [MAX_RUNNING_PER_MESSAGE, false],
    [MAX_RUNNING_PER_MESSAGE, true],
  ]);
});

it('fills messages up to their bytes, whatever the names are, and leaves out what fits none', () => {
  const named = (sequence: number, stages: number) => {
    const { route, ...rest } = running(sequence, stages);
    return { ...rest, route: route.map((stage) => ({ ...stage, name: '語'.repeat(64) })) };
  };
  const sequences = [named(1, 100), named(2, 500), named(3, 100), named(4, 1)];
  const messages = runningMessages(sequences);
  arrived(messages);
  expect(messages.map(({ sequences: some }) => some.map(({ sequence }) => sequence))).toEqual([[1], [3, 4]]);
  expect(messages.at(-1)!.last).toBe(true);
});
