import type { Backend, RequestContext } from '../../src/backend/backend.ts';
import { openAiErrorBody } from '../../src/backend/openai/error.ts';
import { ShoalError } from '../../src/config/errors.ts';
import type { ProxyNode } from '../../src/server/node.ts';

/** One answer on its way, which goes on when the test says so. */
export interface HeldAnswer {
  readonly signal: AbortSignal;
  say(text: string): void;
  end(): void;
}

/** Answers with event streams that the test writes, and with a whole answer to `"stream": false`. */
export class StreamingBackend implements Backend {
  readonly provider = 'custom';
  readonly answers: HeldAnswer[] = [];
  readonly name: string;
  isClosed = false;
  readonly #closing = new AbortController();

  constructor(name: string) {
    this.name = name;
  }

  models = async () => [{ id: this.name, created: 0, ownedBy: 'test' }];
  readiness = async () => ({ ready: true, detail: this.name });
  chatCompletions = (body: unknown, context: RequestContext) => this.#answer(body, context);
  completions = (body: unknown, context: RequestContext) => this.#answer(body, context);

  async close(): Promise<void> {
    this.isClosed = true;
    this.#closing.abort(new ShoalError('ABORTED', `${this.name} was closed`));
  }

  #report({ onAnswered }: RequestContext, outcome: 'stop' | 'aborted'): void {
    const tokens = { promptTokens: 1, completionTokens: 1 };
    onAnswered?.({ model: this.name, outcome, ...tokens, timeToFirstTokenMs: 1, durationMs: 1 });
  }

  async #answer(body: unknown, context: RequestContext): Promise<Response> {
    const signal = AbortSignal.any([context.signal, this.#closing.signal]);
    if ((body as { stream?: boolean }).stream === false) {
      await new Promise<void>((resolve) => {
        this.answers.push({ signal, say: () => {}, end: resolve });
        signal.addEventListener('abort', () => resolve());
      });
      if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
      this.#report(context, 'stop');
      return Response.json({ from: this.name });
    }
    const encoder = new TextEncoder();
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        let isOver = false;
        const say = (text: string) => controller.enqueue(encoder.encode(`data: ${text}\n\n`));
        const end = () => {
          if (isOver) return;
          isOver = true;
          controller.close();
          this.#report(context, signal.aborted ? 'aborted' : 'stop');
        };
        signal.addEventListener('abort', () => {
          if (isOver) return;
          say(JSON.stringify(openAiErrorBody(ShoalError.from(signal.reason, 'ABORTED'))));
          end();
        });
        say(this.name);
        this.answers.push({ signal, say, end });
      },
    });
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } });
  }
}

/** A server's configuration that forwards to `backend`. */
export const proxyNode = (backend: Backend): ProxyNode => ({
  kind: 'proxy',
  provider: backend.provider,
  open: () => [{ id: 'proxy-1', name: 'scripted', backend, maxConcurrent: 8, anyModel: true }],
});
