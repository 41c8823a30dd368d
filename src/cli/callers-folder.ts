import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** npm runs its scripts in the package's root, whatever folder the user was in when naming a file or directory. */
export function fromCallersFolder<Name extends string | undefined>(name: Name): Name | string {
  const caller = process.env.npm_lifecycle_event === undefined ? undefined : process.env.INIT_CWD;
  if (name === undefined || caller === undefined) return name;
  const path = resolve(caller, name);
  return existsSync(path) ? path : name;
}
