/** What a server asks workers for, and the relays that it gives those that it takes. */
import { ShoalError } from '../config/errors.ts';
import { MAX_JOIN_KEY_CHARS, MIN_JOIN_KEY_CHARS } from '../config/limits.ts';
import type { MeshSettings } from '../config/mesh-fields.ts';
import { Secret } from '../config/secret.ts';
import type { TurnServers } from '../server/mesh/connections/turn.ts';
import type { ServerFlags } from './program.ts';

export interface Admission {
  readonly joinKey?: Secret;
  readonly turn?: TurnServers;
}

/** Flags win over the environment, and that over the file. @throws CONFIG_INVALID */
export function admissionOf(
  flags: Pick<ServerFlags, 'joinKey' | 'turnUrl' | 'turnSecret'>,
  env: NodeJS.ProcessEnv,
  file: Pick<MeshSettings, 'joinKey' | 'turnUrls' | 'turnSecret'> = {},
): Admission {
  const joinKey = flags.joinKey ?? (env.SHOAL_JOIN_KEY || file.joinKey?.reveal());
  const secret = flags.turnSecret ?? (env.SHOAL_TURN_SECRET || file.turnSecret?.reveal());
  const urls = flags.turnUrl ?? file.turnUrls ?? [];
  if (joinKey !== undefined && (joinKey.length < MIN_JOIN_KEY_CHARS || joinKey.length > MAX_JOIN_KEY_CHARS)) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `the join key has ${joinKey.length} characters, and must have ${MIN_JOIN_KEY_CHARS} to ${MAX_JOIN_KEY_CHARS}; take some words, or openssl rand -base64 18`,
    );
  }
  // A secret alone may stand in an environment that several commands share.
  if (urls.length > 0 && secret === undefined) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `--turn-url ${urls[0]} needs the secret that coturn has as static-auth-secret; give --turn-secret, set SHOAL_TURN_SECRET, or write turn_secret into the file`,
    );
  }
  if (flags.turnSecret !== undefined && urls.length === 0) {
    throw new ShoalError('CONFIG_INVALID', '--turn-secret is of no use without --turn-url; give both');
  }
  return {
    ...(joinKey !== undefined && { joinKey: new Secret(joinKey) }),
    ...(urls.length > 0 && secret !== undefined && { turn: { urls, secret: new Secret(secret) } }),
  };
}
