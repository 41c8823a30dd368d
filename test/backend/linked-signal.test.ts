import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { createFxnBackend } from '../../src/backend/fxn/fxn.ts';
import { linkedSignal } from '../../src/backend/linked-signal.ts';
import { FakeGenerator, fails, says } from '../support/fake-generator.ts';
import { fakeModel } from '../support/fake-model.ts';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('a linked signal', () => {
  it('aborts with the first of its sources, for its reason', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    const linked = linkedSignal(a.signal, b.signal);
    b.abort('first');
    a.abort('second');
    expect(linked.signal.reason).toBe('first');
    expect(linkedSignal(a.signal).signal.reason).toBe('second');
  });

  it('leaves nothing on its sources', () => {
    const { signal } = new AbortController();
    const linked = Array.from({ length: 3 }, () => linkedSignal(signal));
    expect(listeners(signal)).toBe(3);
    for (const { unlink } of linked) unlink();
    expect(listeners(signal)).toBe(0);
  });
});

describe('the native engine', () => {
  it.each([
    ['ends', (response: Response) => response.text(), says('Hello')],
    ['is left', async (response: Response) => response.body?.cancel(), says('Hello')],
    ['fails', (response: Response) => response.text(), fails(new Error('gone'), 'Hel')],
  ])(
    'holds on to nothing of an answer that %s: its own signal lives as long as the server',
    async (_, read, script) => {
      const any = vi.spyOn(AbortSignal, 'any');
      const sources: AbortSignal[] = [];
      const add = vi.spyOn(AbortSignal.prototype, 'addEventListener').mockImplementation(function (
        this: AbortSignal,
        ...args: unknown[]
      ) {
        sources.push(this);
        return EventTarget.prototype.addEventListener.apply(this, args as never);
      });
      try {
        const backend = createFxnBackend({
          generator: new FakeGenerator(script),
          model: fakeModel,
          readiness: () => ({ ready: true, detail: '' }),
        });
        const { signal } = new AbortController();
        const body = { model: 'fake', prompt: 'x', n: 2, stream: true };
        await read(await backend.completions(body, { signal }));
        expect(sources.length).toBeGreaterThanOrEqual(2);
        await expect.poll(() => sources.reduce((sum, source) => sum + listeners(source), 0)).toBe(0);
        expect(any).not.toHaveBeenCalled();
      } finally {
        add.mockRestore();
        any.mockRestore();
      }
    },
  );
});
