import type {
  AnswerReport,
  Backend,
  ModelInfo,
  Readiness,
  RequestContext,
} from '../../src/backend/backend.ts';

/** One call of a ScriptedBackend, which answers when the test says so, as the contract of Backend wants it. */
export class ScriptedCall {
  readonly body: unknown;
  readonly context: RequestContext;
  readonly outcome: Promise<Response>;
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  #reported = false;

  constructor(body: unknown, context: RequestContext) {
    this.body = body;
    this.context = context;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  throws(error: unknown): void {
    this.#reject(error);
  }

  refuses(status: number, headers: Record<string, string> = {}, message = `status ${status}`): void {
    this.report('error');
    this.#resolve(Response.json({ error: { message } }, { status, headers }));
  }

  /** The first byte, and nothing after it yet. */
  starts(): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
        controller.enqueue(new TextEncoder().encode('data: 1\n\n'));
      },
      cancel: () => this.report('aborted'),
    });
    this.#resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
  }

  ends(report: Partial<AnswerReport> = {}): void {
    if (this.#stream === null) this.#resolve(Response.json({}));
    else this.#stream.close();
    this.report('stop', report);
  }

  breaks(): void {
    this.#stream!.close();
    this.report('error');
  }

  report(outcome: AnswerReport['outcome'], more: Partial<AnswerReport> = {}): void {
    if (this.#reported) return;
    this.#reported = true;
    this.context.onAnswered?.({
      model: 'm',
      outcome,
      promptTokens: 1,
      completionTokens: 11,
      timeToFirstTokenMs: 100,
      durationMs: 1_100,
      ...more,
    });
  }
}

/** A backend whose every answer the test gives, or `answer` does. */
export class ScriptedBackend implements Backend {
  readonly provider = 'custom';
  readonly calls: ScriptedCall[] = [];
  listed: readonly string[] | Error;
  ready: Readiness | Error = { ready: true, detail: 'well' };
  /** Called with each request, where set. */
  answer: ((call: ScriptedCall) => void) | null = null;
  probes = 0;
  modelRequests = 0;
  isClosed = false;

  constructor(models: readonly string[] | Error = ['m']) {
    this.listed = models;
  }

  get last(): ScriptedCall {
    return this.calls.at(-1)!;
  }

  async models(): Promise<readonly ModelInfo[]> {
    this.modelRequests++;
    if (this.listed instanceof Error) throw this.listed;
    return this.listed.map((id) => ({ id, created: 7, ownedBy: 'someone' }));
  }

  async readiness(): Promise<Readiness> {
    this.probes++;
    if (this.ready instanceof Error) throw this.ready;
    return this.ready;
  }

  chatCompletions(body: unknown, context: RequestContext): Promise<Response> {
    const call = new ScriptedCall(body, context);
    this.calls.push(call);
    context.signal.addEventListener('abort', () => call.throws(context.signal.reason), { once: true });
    this.answer?.(call);
    return call.outcome;
  }

  completions(body: unknown, context: RequestContext): Promise<Response> {
    return this.chatCompletions(body, context);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
