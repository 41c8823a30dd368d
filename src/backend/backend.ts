import type { Provider } from '../config/backend-config.ts';
import type { ModelDetails } from '../model/model-details.ts';
import type { OnUnknown } from './openai/unknown-parameters.ts';

/** What stands behind the OpenAI API of a node: the native engine, a proxy, or several of them behind a router. */
export interface Backend {
  readonly provider: Provider;
  models(signal: AbortSignal): Promise<readonly ModelInfo[]>;
  readiness(signal: AbortSignal): Promise<Readiness>;
  /**
   * Answers POST /v1/chat/completions. `body` is parsed JSON, not yet checked. A stream is a `text/event-stream`
   * Response whose body is cancelled when the client hangs up; `context.signal` says the same before that.
   *
   * The promise settles only when the outcome is known as far as a status can tell it: a proxy waits for the first event of
   * a stream. Until then another node may be tried; after it never.
   * @throws ShoalError before the first byte; after it the stream carries an error event and ends.
   */
  chatCompletions(body: unknown, context: RequestContext): Promise<Response>;
  /** Answers POST /v1/completions: raw text, no chat template. An empty prompt starts from the BOS token alone. */
  completions(body: unknown, context: RequestContext): Promise<Response>;
  /** Ends what is in flight with ABORTED. Idempotent. */
  close(): Promise<void>;
}

export interface RequestContext {
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
  /** Who asks, a key or an address: where requests wait, clients take turns. Absent: nobody is told apart. */
  readonly client?: string;
  /**
   * Called once when an answer has ended in whatever way, and at most once where the call throws; for metrics and routing,
   * never for the client. The router holds the request's place on its node until then, or until `signal` aborts.
   */
  readonly onAnswered?: (report: AnswerReport) => void;
  /**
   * The JSON that `body` was parsed from. What is sent on is made of it, so that every digit and every key arrives as the
   * client sent it; absent where `body` is not a client's own text.
   */
  readonly text?: string;
  /**
   * Called for each parameter that nobody here knows, which is then ignored, before the call's promise resolves. What it
   * throws refuses the request.
   */
  readonly onUnknown?: OnUnknown;
  /** Of the nodes that strangers lend, those that may read the request (`Lender.id`); undefined: any. */
  readonly lenders?: ReadonlySet<string>;
  /** Absent: the answer need not be made again after a restart of the server. Backends that cannot do that leave it alone. */
  readonly keeping?: AnswerKeeping;
  /** Called once where one of several nodes answers, before the call's promise resolves. */
  readonly onRouted?: (node: AnsweringNode) => void;
}

/** What a restarted server needs to make an answer again, word for word and event for event. */
export interface AnswerBeginning {
  /** Of the served model: another one would answer otherwise. */
  readonly model: string;
  /** Of the answer's head: its id, and Unix seconds. */
  readonly id: string;
  readonly created: number;
  /** Token ids; templates may tell the time, so a prompt that is rendered later may be another. */
  readonly prompts: readonly (readonly number[])[];
  /** For each prompt, drawn or asked for; unsigned 32-bit. */
  readonly seeds: readonly number[];
  /** For each choice, `n` for each prompt: its sequence's number on the mesh; null before it has one. */
  readonly sequences: readonly (number | null)[];
}

export interface AnswerKeeping {
  /** The answer began in an earlier run of the server, with this: it goes on. */
  readonly before?: AnswerBeginning;
  /** Called before the answer's first byte, and again when something has changed; the first is waited for. */
  begun(beginning: AnswerBeginning): Promise<void>;
}

/** Who lends a node: not the operator of this server. */
export interface Lender {
  /** One connection's, never given again: whoever connects later under the same name is another. */
  readonly id: string;
  /** What it calls itself. */
  readonly name: string;
}

export interface AnsweringNode {
  /** For people, as `PoolNode.name`. */
  readonly name: string;
  /** Absent: a node of the server's own. */
  readonly lender?: Lender;
}

/** What became of one request, as far as the backend knows. */
export interface AnswerReport {
  readonly model: string;
  readonly outcome: 'stop' | 'length' | 'other' | 'error' | 'aborted';
  /** Of the backend's own count (`usage`), of answers that broke off too; null where it did not say. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** From the request's arrival at the backend; null where no token came. */
  readonly timeToFirstTokenMs: number | null;
  readonly durationMs: number;
  /** How often it went on elsewhere because its pipeline was lost; where the backend is a mesh. */
  readonly restarts?: number;
  /** An `error` that is none of the backend's health: the request waited for a place and got none. */
  readonly hadNoRoom?: boolean;
}

export interface ModelInfo {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly ownedBy: string;
  readonly details?: ModelDetails | undefined;
}

export interface Readiness {
  readonly ready: boolean;
  /** One sentence for people: why not ready, or what is served. */
  readonly detail: string;
}
