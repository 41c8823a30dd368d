/** Who answered a request, and who may: two HTTP headers of Shoal's own, on both APIs. */
import type { AnsweringNode } from './backend.ts';

/** Of an answer: `name=box%20(ollama)&lender=provider-3-5f0c&by=box`; the last two where the node is lent. */
export const SERVED_BY_HEADER = 'x-shoal-served-by';

/** Of a request: the ids of the lenders that may read it, with commas between; empty: none. Absent: any. */
export const LENDERS_HEADER = 'x-shoal-lenders';

/** A query string: names are in any script, and a header is not. */
export const writeServedBy = ({ name, lender }: AnsweringNode): string =>
  new URLSearchParams({ name, ...(lender && { lender: lender.id, by: lender.name }) }).toString();

/** @returns null where there is none, as of another server */
export function readServedBy(header: string | null): AnsweringNode | null {
  const given = new URLSearchParams(header ?? '');
  const name = given.get('name');
  if (name === null) return null;
  const id = given.get('lender');
  return { name, ...(id !== null && { lender: { id, name: given.get('by') ?? name } }) };
}

export const readLenders = (header: string | undefined): ReadonlySet<string> | undefined =>
  header === undefined ? undefined : new Set(header.split(',').map((id) => id.trim()));
