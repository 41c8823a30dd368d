/** config/models.yaml: the models that Shoal knows by name. For Node only: browser code gets its model from the server. */
import { z } from 'zod';
import type { FieldNote } from './field-note.ts';
import { MAX_CONTEXT_POSITIONS, MAX_MODEL_ID_CHARS, MAX_TEMPLATE_CHARS } from './limits.ts';
import { allTexts, type MapShape, YamlReading } from './yaml-reading.ts';

export interface CatalogueEntry {
  readonly id: string;
  readonly name: string;
  readonly source: ModelSource;
  /** How workers hold the weights, unless the command line says otherwise. */
  readonly quantization: 'native' | 'q8' | 'q4';
  /** Positions that are served; absent: the model's own, at most MAX_CONTEXT_POSITIONS. */
  readonly context?: number;
  /** Jinja source that replaces the model's own chat template. */
  readonly template?: string;
  readonly description: string;
  readonly license?: string;
  /** What a pull fetches, about; GB of 10⁹ bytes. */
  readonly gigabytes?: number;
  /** The owner wants an agreement before the files can be fetched. */
  readonly gated: boolean;
}

export type ModelSource =
  /** A directory in Hugging Face layout, relative to the package root. */
  { readonly kind: 'path'; readonly path: string } | HubSource;

export interface HubSource {
  readonly kind: 'huggingface';
  /** `org/repo`. */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const line = (maxChars: number) =>
  z
    .string('must be text; put it in quotes')
    .min(1, 'must not be empty')
    .max(maxChars, `must have at most ${maxChars} characters`);

const contextMessage = `must be a whole number from 1 to ${MAX_CONTEXT_POSITIONS}, the most that is served`;

const FIELDS = {
  id: line(MAX_MODEL_ID_CHARS).regex(
    /^[a-z0-9][a-z0-9.-]*$/,
    'must be lower case letters, digits, "." and "-", and begin with a letter or digit',
  ),
  name: line(120),
  revision: line(200)
    .regex(/^[\w-][\w./-]*$/, 'must be a branch, a tag or a commit')
    .refine((value) => !value.includes('..'), 'must be a branch, a tag or a commit'),
  quantization: z.enum(['native', 'q8', 'q4'], 'must be one of native, q8, q4'),
  context: z.int(contextMessage).min(1, contextMessage).max(MAX_CONTEXT_POSITIONS, contextMessage),
  template: line(MAX_TEMPLATE_CHARS),
  description: line(240),
  license: line(80),
  // Decimals of YAML are read as they are written.
  gigabytes: z.coerce
    .number('must be a number of GB')
    .positive('must be more than 0')
    .max(10_000, 'must be at most 10000'),
  gated: z.boolean('must be true or false'),
};
const SOURCE_FIELDS = {
  path: line(1_000),
  huggingface: line(200).regex(/^\w[\w.-]*\/\w[\w.-]*$/, 'must be a repository, such as "Qwen/Qwen3-0.6B"'),
};

const entrySchema = z.object({
  ...FIELDS,
  source: z.object(
    {
      path: SOURCE_FIELDS.path.optional(),
      huggingface: SOURCE_FIELDS.huggingface.optional(),
    },
    'is required: { path: … } or { huggingface: org/repo }',
  ),
  revision: FIELDS.revision.optional(),
  quantization: FIELDS.quantization.default('native'),
  context: FIELDS.context.optional(),
  template: FIELDS.template.optional(),
  description: FIELDS.description.default(''),
  license: FIELDS.license.optional(),
  gigabytes: FIELDS.gigabytes.optional(),
  gated: FIELDS.gated.default(false),
});

const SHAPE: MapShape = {
  map: {
    models: {
      list: {
        map: {
          ...allTexts(FIELDS),
          context: 'scalar',
          gigabytes: 'scalar',
          gated: 'scalar',
          source: { map: allTexts(SOURCE_FIELDS), example: '{ path: … } or { huggingface: org/repo }' },
        },
        example: '"key: value" lines, the first of which is "- id: …"',
      },
      example: 'a list of models, each of which begins with "- id: …"',
    },
  },
  example: 'the key "models" and a list below it',
};

/**
 * @param file the name shown in errors
 * @throws CONFIG_INVALID with one `file:line:column: key: reason` line per fault, all of them at once
 */
export function parseCatalogue(source: string, file: string): readonly CatalogueEntry[] {
  const reading = new YamlReading(source, file, SHAPE);
  const { models } = (reading.value ?? {}) as { models?: unknown };
  const faults: FieldNote[] = [];
  const entries: CatalogueEntry[] = [];
  const ids = new Map<string, number>();
  for (const [index, raw] of (Array.isArray(models) ? models : []).entries()) {
    const path = `models.${index}`;
    const parsed = entrySchema.safeParse(withoutNulls(raw));
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        const isMissing = issue.code === 'invalid_type' && at(raw, issue.path) === undefined;
        const message = isMissing && issue.path[0] !== 'source' ? 'is required' : issue.message;
        faults.push({ path: [path, ...issue.path].join('.'), message });
      }
      continue;
    }
    const { data } = parsed;
    const earlier = ids.get(data.id);
    if (earlier === undefined) ids.set(data.id, index);
    else
      faults.push({ path: `${path}.id`, message: `is the id of models[${earlier}] already; each id once` });
    const place = placeOf(data);
    if (typeof place === 'string') faults.push({ path: `${path}.source`, message: place });
    else entries.push(entryOf(data, place));
  }
  if (entries.length === 0 && faults.length === 0) {
    faults.push({ path: 'models', message: 'has no entry; a model needs an id, a name and a source' });
  }
  reading.add(faults);
  reading.throwIfAny();
  return entries;
}

type Parsed = z.output<typeof entrySchema>;

/** @returns a sentence when the source is not exactly one */
function placeOf({ source: { path, huggingface }, revision }: Parsed): ModelSource | string {
  if ((path === undefined) === (huggingface === undefined)) {
    return 'must have exactly one of path and huggingface';
  }
  if (huggingface !== undefined)
    return { kind: 'huggingface', repo: huggingface, revision: revision ?? 'main' };
  if (revision !== undefined) return 'is a path, which has no revision; remove that key';
  return { kind: 'path', path: path! };
}

function entryOf(data: Parsed, source: ModelSource): CatalogueEntry {
  const { context, template, license, id, name, quantization, description, gated, gigabytes } = data;
  return {
    id,
    name,
    source,
    quantization,
    description,
    gated,
    ...(context !== undefined && { context }),
    ...(gigabytes !== undefined && { gigabytes }),
    ...(template !== undefined && { template }),
    ...(license !== undefined && { license }),
  };
}

const withoutNulls = (raw: unknown) =>
  typeof raw === 'object' && raw !== null
    ? Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
    : raw;

const at = (value: unknown, path: readonly PropertyKey[]) =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    withoutNulls(value),
  );
