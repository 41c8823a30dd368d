/** Requests as Go's encoding/json decodes them into the structs of Ollama's api/types.go: strict in types, blind to unknown keys. */

/** Its message is what Ollama answers with status 400. */
export class DecodeError extends Error {}

type Check = (value: unknown, path: string) => void;
type Fields = Readonly<Record<string, Check>>;

const kindOf = (value: unknown) =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;

const mismatch = (value: unknown, path: string, type: string) =>
  new DecodeError(`json: cannot unmarshal ${kindOf(value)} into Go struct field ${path} of type ${type}`);

/** Null leaves a field as it is. */
const given =
  (check: Check): Check =>
  (value, path) => {
    if (value !== null && value !== undefined) check(value, path);
  };
const primitive = (kind: string, type: string): Check =>
  given((value, path) => {
    if (typeof value !== kind) throw mismatch(value, path, type);
  });
const string = primitive('string', 'string');
const bool = primitive('boolean', 'bool');
const int: Check = given((value, path) => {
  if (typeof value !== 'number') throw mismatch(value, path, 'int');
  if (!Number.isInteger(value))
    throw new DecodeError(`json: cannot unmarshal number ${value} into Go struct field ${path} of type int`);
});
const any: Check = () => {};
const list = (check: Check, type: string): Check =>
  given((value, path) => {
    if (!Array.isArray(value)) throw mismatch(value, path, type);
    for (const element of value) check(element, path);
  });
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const map = (check: Check, type: string): Check =>
  given((value, path) => {
    if (!isMap(value)) throw mismatch(value, path, type);
    for (const element of Object.values(value)) check(element, path);
  });
const struct = (name: string, fields: Fields): Check =>
  given((value, path) => {
    if (!isMap(value)) throw mismatch(value, path, `api.${name}`);
    for (const [key, check] of Object.entries(fields)) check(value[key], `${name}.${key}`);
  });

const base64: Check = given((value, path) => {
  if (typeof value !== 'string') throw mismatch(value, path, '[]uint8');
  const bad = value.search(/[^A-Za-z0-9+/=]/);
  if (bad !== -1 || value.length % 4 !== 0)
    throw new DecodeError(`illegal base64 data at input byte ${bad === -1 ? value.length : bad}`);
});

const think: Check = given((value) => {
  if (typeof value === 'boolean') return;
  if (typeof value !== 'string')
    throw new DecodeError(
      'think must be a boolean or string ("high", "medium", "low", "max", true, or false)',
    );
  if (!['high', 'medium', 'low', 'max'].includes(value))
    throw new DecodeError(
      `invalid think value: "${value}" (must be "high", "medium", "low", "max", true, or false)`,
    );
});

const duration: Check = given((value) => {
  if (typeof value === 'number') return;
  if (typeof value !== 'string') throw new DecodeError(`Unsupported type: '${kindOf(value)}'`);
  if (!/^[-+]?(0|(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+)$/.test(value))
    throw new DecodeError(`time: invalid duration "${value}"`);
});

const propertyType: Check = given((value, path) => {
  if (typeof value !== 'string') list(string, '[]string')(value, path);
});
const property: Check = (value, path) =>
  struct('ToolProperty', {
    anyOf: list(property, '[]api.ToolProperty'),
    type: propertyType,
    items: any,
    description: string,
    enum: list(any, '[]interface {}'),
    properties: map(property, 'map'),
    required: list(string, '[]string'),
  })(value, path);

const tool = struct('Tool', {
  type: string,
  function: struct('ToolFunction', {
    name: string,
    description: string,
    parameters: struct('ToolFunctionParameters', {
      type: string,
      $defs: any,
      items: any,
      required: list(string, '[]string'),
      properties: map(property, 'map'),
    }),
  }),
});

const message = struct('Message', {
  role: string,
  content: string,
  thinking: string,
  images: list(base64, '[]api.ImageData'),
  tool_calls: list(
    struct('ToolCall', {
      id: string,
      function: struct('ToolCallFunction', { index: int, name: string, arguments: map(any, 'map') }),
    }),
    '[]api.ToolCall',
  ),
  tool_name: string,
  tool_call_id: string,
});

const common: Fields = {
  model: string,
  stream: bool,
  format: any,
  keep_alive: duration,
  options: map(any, 'map[string]interface {}'),
  think,
  truncate: bool,
  shift: bool,
  logprobs: bool,
  top_logprobs: int,
};

export const decodeChat = struct('ChatRequest', {
  ...common,
  messages: list(message, '[]api.Message'),
  tools: list(tool, 'api.Tools'),
});
export const decodeGenerate = struct('GenerateRequest', {
  ...common,
  prompt: string,
  suffix: string,
  system: string,
  template: string,
  context: list(int, '[]int'),
  raw: bool,
  images: list(base64, '[]api.ImageData'),
});
export const decodeNamed = struct('Request', { model: string, name: string, stream: bool });

const INTS = [
  'num_keep',
  'seed',
  'num_predict',
  'top_k',
  'repeat_last_n',
  'num_ctx',
  'num_batch',
  'num_gpu',
  'main_gpu',
  'num_thread',
];
const FLOATS = [
  'top_p',
  'min_p',
  'typical_p',
  'temperature',
  'repeat_penalty',
  'presence_penalty',
  'frequency_penalty',
];

/** Options.FromMap: unknown options are logged and dropped, wrong types are an error of the server (500). */
export function optionError(options: Readonly<Record<string, unknown>>): string | undefined {
  for (const [key, value] of Object.entries(options)) {
    if (value === null) continue;
    if (INTS.includes(key) && typeof value !== 'number') return `option "${key}" must be of type integer`;
    if (FLOATS.includes(key) && typeof value !== 'number') return `option "${key}" must be of type float32`;
    if (key === 'use_mmap' && typeof value !== 'boolean') return `option "${key}" must be of type boolean`;
    if (key !== 'stop') continue;
    if (!Array.isArray(value)) return `option "${key}" must be of type array`;
    if (!value.every((stop) => typeof stop === 'string'))
      return `option "${key}" must be of an array of strings`;
  }
  return undefined;
}
