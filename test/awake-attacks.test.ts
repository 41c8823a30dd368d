import { expect, it } from 'vitest';
import { ATTACKS } from '../bench/awake-attacks.ts';
import { MAX_BODY_BYTES } from '../src/config/limits.ts';

it.each(ATTACKS.flatMap(({ name, body }) => (body === undefined ? [] : [{ name, body }])))(
  'the attack of the bench is no body that its size refuses unread: $name',
  ({ body }) => {
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(MAX_BODY_BYTES);
  },
);
