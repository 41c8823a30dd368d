/** What stands behind the OpenAI API of a node: the native engine or a proxy. */
export interface Backend {
  readonly provider: 'fxn' | 'custom' | 'vllm' | 'ollama';
  models(signal: AbortSignal): Promise<readonly ModelInfo[]>;
  readiness(signal: AbortSignal): Promise<Readiness>;
  /**
   * Answers POST /v1/chat/completions. `body` is parsed JSON, not yet checked. A stream is a `text/event-stream`
   * Response whose body is cancelled when the client hangs up; `signal` says the same to non-streaming calls.
   * @throws ShoalError before the first byte; after it the stream carries an error event.
   */
  chatCompletions(body: unknown, signal: AbortSignal): Promise<Response>;
  /** Answers POST /v1/completions: raw text, no chat template. An empty prompt starts from the BOS token alone. */
  completions(body: unknown, signal: AbortSignal): Promise<Response>;
  close(): Promise<void>;
}

export interface ModelInfo {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly ownedBy: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** One sentence for people: why not ready, or what is served. */
  readonly detail: string;
}
