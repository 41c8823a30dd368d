import { expect, it } from 'vitest';
import type { Status } from '../../../src/mesh/protocol/status.ts';
import type { Turn } from '../../../src/page/chat/conversation.ts';
import { servedParts } from '../../../src/page/chat/served-by.tsx';

const answer = (more: Partial<Turn>): Turn => ({ role: 'assistant', content: 'Yes.', model: 'm', ...more });
const lentBy = (id: string, name: string) =>
  ({ name: `${name} (ollama)`, lender: { id, name } }) as Status['nodes'][number];

it('names the model, the stages, the speed and what moved', () => {
  const served = {
    stages: [
      { peer: 'a', name: 'tab-1', layers: [0, 4] as [number, number] },
      { peer: 'b', name: 'tab-2', layers: [4, 5] as [number, number] },
    ],
    restarts: 1,
    tokens_per_second: 21.345,
  };
  expect(servedParts(answer({ by: { name: 'mesh' }, served }), [])).toEqual([
    'm',
    'tab-1 (layers 0–3) → tab-2 (layer 4)',
    '21.3 tok/s',
    'moved 1×',
  ]);
  expect(servedParts(answer({ served: { ...served, crossings: 1 } }), []).at(-1)).toContain(
    'words may differ',
  );
});

it('names the server’s own node or the lender, and tells lenders of one name apart', () => {
  const ann = lentBy('provider-1-aaaa', 'Ann');
  expect(servedParts(answer({ by: { name: 'host:1' } }), [])).toEqual(['m', 'by host:1']);
  expect(servedParts(answer({ by: ann }), [ann])).toEqual(['m', 'lent by Ann']);
  const nodes = [ann, lentBy('provider-2-bbbb', 'Ann')];
  expect(servedParts(answer({ by: ann }), nodes)).toEqual(['m', 'lent by Ann (aaaa)']);
  expect(servedParts(answer({ model: '' }), nodes)).toEqual([]);
});
