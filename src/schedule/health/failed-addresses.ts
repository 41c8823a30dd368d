/** Failures by the address that they came from: a new id does not wash. Newcomers alone are asked about theirs. */
import { FAILURE_MEMORY_MS, MAX_REMEMBERED_WORKERS } from '../../config/limits.ts';

export interface AddressFailures {
  readonly peer: string;
  readonly untilMs: number;
  readonly failures: number;
  readonly reason: string;
}

export class FailedAddresses {
  readonly #byAddress = new Map<string, AddressFailures>();

  /** Its peer is excluded until then. */
  note(address: string | null, failed: AddressFailures): void {
    if (address === null) return;
    this.#byAddress.delete(address);
    this.#byAddress.set(address, failed);
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MAX_REMEMBERED_WORKERS && oldest !== undefined) this.#byAddress.delete(oldest);
  }

  /** What a newcomer from there has to answer for. */
  of(address: string | null, nowMs: number): AddressFailures | null {
    const failed = address === null ? undefined : this.#byAddress.get(address);
    if (address === null || failed === undefined) return null;
    if (nowMs - failed.untilMs <= FAILURE_MEMORY_MS) return failed;
    this.#byAddress.delete(address);
    return null;
  }

  /** The peer that failed there has served, or proved itself, since. */
  clear(address: string | null, peer: string): void {
    if (address !== null && this.#byAddress.get(address)?.peer === peer) this.#byAddress.delete(address);
  }
}
