/** What model_backend.yaml says of the mesh that serves `backend_provider: "fxn"`; the command line's options of the same names win. */
import { z } from 'zod';
import type { FieldNote } from './field-note.ts';
import { MAX_JOIN_KEY_CHARS, MAX_LAYERS, MAX_REPLICAS, MIN_JOIN_KEY_CHARS } from './limits.ts';
import { Secret } from './secret.ts';

/** `turn:host:port`, without user and credential: these are made for each worker. */
export const TURN_URL = /^turns?:[^\s,@/]+$/;

const wholeNumber = (max: number) => {
  const message = `must be a whole number from 1 to ${max}`;
  return z
    .string(message)
    .regex(/^\d+$/, message)
    .transform(Number)
    .pipe(z.int(message).min(1, message).max(max, message));
};
const text = z.string('must be text; put it in quotes').min(1, 'must not be empty');
const keyLength = `must have ${MIN_JOIN_KEY_CHARS} to ${MAX_JOIN_KEY_CHARS} characters; take some words, or openssl rand -base64 18`;

/** Each is a text, as the file has it; `turn_urls` is a list beside them. */
export const MESH_FIELDS = {
  min_stages: wholeNumber(MAX_LAYERS),
  max_stages: wholeNumber(MAX_LAYERS),
  solo: z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true'),
  replicas: wholeNumber(MAX_REPLICAS),
  join_key: text
    .min(MIN_JOIN_KEY_CHARS, keyLength)
    .max(MAX_JOIN_KEY_CHARS, keyLength)
    .transform((value) => new Secret(value)),
  turn_secret: text.transform((value) => new Secret(value)),
  state: text,
};

export const MESH_KEYS = [...Object.keys(MESH_FIELDS), 'turn_urls'];

const turnUrl = text.regex(
  TURN_URL,
  'must be "turn:host:port" or "turns:host:port", without user and credential',
);

export interface MeshSettings {
  /** Stages of a route, at least and at most. */
  readonly minStages?: number;
  readonly maxStages?: number;
  /** Each worker holds the whole model, or nothing. */
  readonly solo?: boolean;
  /** Workers that shall hold each layer. */
  readonly replicas?: number;
  /** What workers are asked for. */
  readonly joinKey?: Secret;
  readonly turnUrls?: readonly string[];
  /** What coturn has as static-auth-secret. */
  readonly turnSecret?: Secret;
  /** A directory, from the working directory where it is relative. */
  readonly state?: string;
}

interface ReadFields {
  readonly min_stages?: number;
  readonly max_stages?: number;
  readonly solo?: boolean;
  readonly replicas?: number;
  readonly join_key?: Secret;
  readonly turn_secret?: Secret;
  readonly state?: string;
}

/**
 * @param fields as MESH_FIELDS reads them
 * @param urls of `turn_urls`, not yet checked
 * @param faults what is wrong is added to them
 */
export function meshSettingsOf(
  fields: ReadFields,
  urls: readonly unknown[],
  faults: FieldNote[],
): MeshSettings {
  const { min_stages: minStages, max_stages: maxStages, solo, replicas, state } = fields;
  const { join_key: joinKey, turn_secret: turnSecret } = fields;
  if (solo === true && minStages !== undefined) {
    faults.push({
      path: 'min_stages',
      message: 'is of no use beside solo: true, where nothing is split; keep one',
    });
  } else if (minStages !== undefined && maxStages !== undefined && minStages > maxStages) {
    faults.push({
      path: 'min_stages',
      message: `is ${minStages}, more than max_stages, which is ${maxStages}`,
    });
  }
  const turnUrls = urls.flatMap((entry, index) => {
    const result = turnUrl.safeParse(entry);
    if (result.success) return [result.data];
    faults.push({ path: `turn_urls.${index}`, message: result.error.issues[0]?.message ?? 'is invalid' });
    return [];
  });
  if (turnSecret !== undefined && urls.length === 0) {
    faults.push({ path: 'turn_secret', message: 'is of no use without turn_urls; give both' });
  }
  return {
    ...(minStages !== undefined && { minStages }),
    ...(maxStages !== undefined && { maxStages }),
    ...(solo !== undefined && { solo }),
    ...(replicas !== undefined && { replicas }),
    ...(joinKey !== undefined && { joinKey }),
    ...(turnUrls.length > 0 && { turnUrls }),
    ...(turnSecret !== undefined && { turnSecret }),
    ...(state !== undefined && { state }),
  };
}
