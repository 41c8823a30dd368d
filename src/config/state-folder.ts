/** Where commands keep what must outlive them and is no cache: the self-signed certificate, the chat's history. For Node only. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `SHOAL_HOME/state`, or ~/.local/state/shoal. What lies in it is for its owner alone. */
export const stateFolder = (env: NodeJS.ProcessEnv): string =>
  env.SHOAL_HOME
    ? join(env.SHOAL_HOME, 'state')
    : join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'shoal');
