import type { SpareReason } from '../mesh/protocol/status.ts';
import { formatBytes } from './format.ts';

export interface SpareText {
  /** For the pill. */
  readonly label: 'spare' | 'waiting';
  readonly why: string;
  /** What would give this tab layers. */
  readonly until: string;
}

/** What a tab that has joined and holds nothing is told. @param detail the status' sentence about the mesh */
export function spareText(spare: SpareReason, detail: string): SpareText {
  const isSpare = (why: string, until: string): SpareText => ({ label: 'spare', why, until });
  const waits = (why: string, until: string): SpareText => ({ label: 'waiting', why, until });
  const whenOneLeaves = 'You get layers when one of its workers leaves.';
  switch (spare.why) {
    case 'placing':
      return waits('The server hands out the layers now.', 'It takes a moment.');
    case 'expecting':
      return waits(
        `${spare.joined} of ${spare.expected} expected workers have joined.`,
        'Layers are handed out when all are here, or two minutes after the server’s start.',
      );
    case 'missing':
      return spare.missingBytes === null
        ? waits(`${detail}.`, 'Layers are handed out as soon as the model fits.')
        : waits(
            `The workers here lend too little GPU memory: ${formatBytes(spare.missingBytes)} are missing.`,
            'Open this page on another device, or leave and lend more.',
          );
    case 'later':
      return waits(
        'Other workers load their layers, or finish their answers.',
        'When they are through, the layers are handed out anew, and you are looked at.',
      );
    case 'answers-first':
      return waits(
        'The route will be faster with you, and needs the memory of the present one.',
        'You get layers when the answers that run have ended.',
      );
    case 'full':
      return isSpare(
        `The route is complete: it has ${spare.stages} stage${spare.stages === 1 ? '' : 's'}, as many as it may have, and no copy of one is wanted that what you lend could hold.`,
        whenOneLeaves,
      );
    case 'no-gain':
      return isSpare('The route is complete, and would not be a tenth faster with you.', whenOneLeaves);
    case 'slow':
      return isSpare(
        'The route is complete, and your device is so much slower that it would hold the others up.',
        'You get layers when they cannot hold the model without you.',
      );
    case 'replicated':
      return isSpare(
        `Every layer is held by ${spare.replicas} or more others, as many as the requests here can use.`,
        'You get layers when one of them leaves, or more people ask at once.',
      );
    case 'small-memory':
      return isSpare(
        `You lend ${formatBytes(spare.lentBytes)}, and the smallest share of this model takes ${formatBytes(spare.neededBytes)}.`,
        'Leave, lend more, and join again.',
      );
    case 'small-buffers':
      return isSpare(
        `This browser makes GPU buffers of at most ${formatBytes(spare.lentBytes)} here, and the model needs one of ${formatBytes(spare.neededBytes)}.`,
        'Another browser, or another graphics card, may make larger ones.',
      );
    case 'left-out':
      return isSpare(
        'Something failed on your device.',
        `You get layers again in ${spare.seconds} s at the earliest.`,
      );
    default:
      return spare satisfies never;
  }
}
