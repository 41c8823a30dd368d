/** Between the test's page and its worker. */
export type ToWorker =
  | {
      readonly type: 'channel';
      readonly peer: string;
      readonly attempt: number;
      readonly end: RTCDataChannel | MessagePort;
    }
  /** Echo frames of these payload sizes off `peer`, several times, and compare every byte. */
  | {
      readonly type: 'echo';
      readonly peer: string;
      readonly payloadBytes: readonly number[];
    };

export type FromWorker =
  | { readonly type: 'open'; readonly peer: string }
  | { readonly type: 'down'; readonly peer: string; readonly code: string; readonly message: string }
  | { readonly type: 'echoed'; readonly frames: number; readonly wrong: number };
