/** model_backend.yaml: which backend answers a node's API. The commented template is model_backend.yaml.example. */
import type { ModelBackendConfig } from './backend-config.ts';
import { NODE_FIELDS, TIMEOUT_FIELDS, TOP_FIELDS } from './backend-fields.ts';
import { readBackendFields } from './backend-reading.ts';
import { MESH_FIELDS } from './mesh-fields.ts';
import { allTexts, type MapShape, YamlReading } from './yaml-reading.ts';

const SHAPE: MapShape = {
  map: {
    ...allTexts(TOP_FIELDS),
    ...allTexts(MESH_FIELDS),
    turn_urls: { list: 'text', example: 'a list, such as ["turn:turn.example.com:3478"]' },
    nodes: {
      list: {
        map: allTexts(NODE_FIELDS),
        example: '"key: value" lines, such as url: "http://127.0.0.1:8082"',
      },
      example: 'a list of nodes, each a line that begins with "- url: "',
    },
    allow_addresses: { list: 'text', example: 'a list, such as ["10.0.0.5", "192.168.0.0/16"]' },
    timeout_seconds: {
      map: allTexts(TIMEOUT_FIELDS),
      example: 'a map, such as { connect: 5, first_byte: 120, idle: 60 }',
    },
  },
  example: 'lines of "key: value", such as backend_provider: "fxn"',
};

export interface ModelBackendFile {
  readonly config: ModelBackendConfig;
  /** `file:line:column: key: message`: what has no effect, or is unwise. */
  readonly warnings: readonly string[];
}

/**
 * @param file the name shown in errors
 * @param env where `${NAME}` in a value is looked up
 * @throws CONFIG_INVALID with one `file:line:column: key: reason` line per fault, all of them at once
 */
export function readModelBackend(
  source: string,
  file: string,
  env: NodeJS.ProcessEnv = process.env,
): ModelBackendFile {
  const reading = new YamlReading(source, file, SHAPE, env);
  const { config, faults, warnings } = readBackendFields((reading.value ?? {}) as Record<string, unknown>);
  reading.add(faults);
  reading.throwIfAny();
  return { config: config ?? { provider: 'fxn' }, warnings: reading.lines(warnings) };
}

/** `readModelBackend` without the warnings. */
export function parseModelBackend(
  source: string,
  file: string,
  env: NodeJS.ProcessEnv = process.env,
): ModelBackendConfig {
  return readModelBackend(source, file, env).config;
}
