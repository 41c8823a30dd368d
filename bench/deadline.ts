import { ShoalError } from '../src/config/errors.ts';

/** @throws DEADLINE_EXCEEDED naming `what` */
export async function deadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ShoalError('DEADLINE_EXCEEDED', `${what} did not come within ${ms / 1_000} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
