import { ShoalError } from '../../config/errors.ts';
import { CONTROL_VERSION } from './control.ts';

/**
 * Refuses another version with a sentence that says which side should update.
 * @param self which side is asking; `theirs` is what the other side announced
 * @throws PROTOCOL_VERSION
 */
export function checkControlVersion(theirs: number, self: 'page' | 'server'): void {
  if (theirs === CONTROL_VERSION) return;
  const page = self === 'page' ? CONTROL_VERSION : theirs;
  const server = self === 'page' ? theirs : CONTROL_VERSION;
  const remedy = page < server ? 'reload the page to update it' : 'update the server';
  throw new ShoalError(
    'PROTOCOL_VERSION',
    `the page speaks control version ${page}, the server ${server}; ${remedy}`,
  );
}
