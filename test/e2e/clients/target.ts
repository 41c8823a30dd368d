/** A gateway that the client suite runs against, and what stands behind it. */
export interface Target {
  /** The gateway's address, without `/v1`. */
  readonly url: string;
  /** What clients call the model. */
  readonly model: string;
  /** Requests that the backend itself, not the gateway, is answering. Null: it does not tell. */
  busy(): Promise<number | null>;
  /** What this backend cannot do, and what it says instead. */
  readonly lacks?: { readonly temperatureBound?: true; readonly modelNames?: true };
  close(): Promise<void>;
}

export const QUESTION = 'What is the capital of Japan?';
export const STORY = 'Tell me a story.';
