/**
 * What a worker says that it holds is believed where this server asked for it: `hold` comes with a receipt, which the worker keeps
 * beside the shard and shows in `join`. Without it anyone could claim layers, be linked to honest workers and keep a room from loading.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { HeldShard } from '../../../mesh/protocol/control.ts';

/** 128 bits are no guess's work, and short in every `join`. */
const RECEIPT_BYTES = 16;

export type ReceiptedShard = Pick<HeldShard, 'shard' | 'model' | 'quantization' | 'layers'>;

export interface ReceiptKey {
  /** 32. */
  readonly bytes: Uint8Array;
  /** The server's next start has it too, and need believe nobody without a receipt. */
  readonly isKept: boolean;
}

export class Receipts {
  readonly #key: Uint8Array;

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** @returns HMAC-SHA256 of the worker and the shard, its first 128 bits, base64url */
  give(peer: string, { shard, model, quantization, layers }: ReceiptedShard): string {
    const { start, end } = layers;
    const text = JSON.stringify([peer, shard, model, quantization, start, end]);
    const digest = createHmac('sha256', this.#key).update(text).digest();
    return digest.subarray(0, RECEIPT_BYTES).toString('base64url');
  }

  isOurs(peer: string, held: ReceiptedShard & Pick<HeldShard, 'receipt'>): boolean {
    if (held.receipt === undefined) return false;
    const [own, shown] = [Buffer.from(this.give(peer, held)), Buffer.from(held.receipt)];
    return own.length === shown.length && timingSafeEqual(own, shown);
  }
}
