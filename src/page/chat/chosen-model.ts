/** Which model a question goes to, and who may read it. Nothing here switches by itself once a conversation has begun. */
import type { Status } from '../../mesh/protocol/status.ts';

export interface Lender {
  readonly id: string;
  readonly name: string;
}

export interface Offer {
  readonly model: string;
  /** One of the server's own nodes has it. */
  readonly isOwn: boolean;
  readonly lenders: readonly Lender[];
}

const canAnswer = ({ state }: Status['nodes'][number]) => state === 'ready' || state === 'busy';

/** What a chat can ask for, those first that a node can answer now. */
export function offers(status: Status | null): readonly Offer[] {
  if (status === null) return [];
  const found = new Map<string, { model: string; isOwn: boolean; lenders: Lender[] }>();
  const offerOf = (model: string) => {
    const known = found.get(model) ?? { model, isOwn: false, lenders: [] };
    found.set(model, known);
    return known;
  };
  for (const { models, lender } of status.nodes.toSorted(
    (a, b) => Number(canAnswer(b)) - Number(canAnswer(a)),
  )) {
    for (const model of models) {
      const offer = offerOf(model);
      if (lender === undefined) offer.isOwn = true;
      else if (!offer.lenders.some(({ id }) => id === lender.id)) offer.lenders.push(lender);
    }
  }
  if (status.model !== null) offerOf(status.model.id).isOwn = true;
  return [...found.values()];
}

export interface Chosen {
  /** '': nothing was chosen or asked yet. */
  readonly model: string;
  /** Those that have read this conversation, or were allowed to. */
  readonly lenders: readonly Lender[];
}

export type ModelState =
  | { readonly type: 'none' }
  /** A question goes to `model`, and of the lenders only `lenders` may read it. */
  | { readonly type: 'offered'; readonly model: string; readonly lenders: readonly Lender[] }
  /** Not there now, while a node is being asked what it has. */
  | { readonly type: 'unsure'; readonly model: string }
  | { readonly type: 'gone'; readonly model: string; readonly others: readonly Offer[] }
  /** The model is there, lent by others than those that have read the conversation. */
  | { readonly type: 'other-lenders'; readonly model: string; readonly offer: Offer };

/** @param hasBegun whether there are turns, which go along with the next question */
export function modelState(chosen: Chosen, status: Status | null, hasBegun: boolean): ModelState {
  const all = offers(status);
  const model = chosen.model === '' ? (all[0]?.model ?? '') : chosen.model;
  if (model === '') return { type: 'none' };
  const offer = all.find((one) => one.model === model);
  if (offer === undefined) {
    const isAsking = status?.nodes.some(
      ({ state, models }) => models.length === 0 && (state === 'unknown' || state === 'probing'),
    );
    return status === null || isAsking ? { type: 'unsure', model } : { type: 'gone', model, others: all };
  }
  if (!hasBegun) return { type: 'offered', model, lenders: offer.lenders };
  const lenders = offer.lenders.filter(({ id }) => chosen.lenders.some((known) => known.id === id));
  if (!offer.isOwn && lenders.length === 0) return { type: 'other-lenders', model, offer };
  return { type: 'offered', model, lenders };
}

/** Goes on with `offer`: whoever lends it may read the conversation from now on. */
export function chooseOffer({ lenders }: Chosen, offer: Offer): Chosen {
  const known = lenders.filter(({ id }) => !offer.lenders.some((lender) => lender.id === id));
  return { model: offer.model, lenders: [...known, ...offer.lenders] };
}

/** `llama, lent by Ann`. */
export function offerText({ model, isOwn, lenders }: Offer): string {
  return isOwn || lenders.length === 0 ? model : `${model}, lent by ${namesText(lenders)}`;
}

/** Two lenders may call themselves the same. */
export const namesText = (lenders: readonly Lender[]): string =>
  [...new Set(lenders.map(({ name }) => name))].join(' or ');
