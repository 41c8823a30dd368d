import { ShoalError } from '../../config/errors.ts';

/**
 * The default chat template of a tokenizer_config.json: a string, or a list of named ones of which "default" is taken
 * (as `transformers` does), or the only one.
 * @returns undefined when there is none
 * @throws TOKENIZER_INVALID for another form
 */
export function chatTemplateFrom(tokenizerConfig: unknown): string | undefined {
  if (typeof tokenizerConfig !== 'object' || tokenizerConfig === null) return undefined;
  const template = Object.hasOwn(tokenizerConfig, 'chat_template')
    ? Reflect.get(tokenizerConfig, 'chat_template')
    : undefined;
  if (template === undefined || template === null) return undefined;
  if (typeof template === 'string') return template;
  if (Array.isArray(template) && template.every(isNamedTemplate)) {
    const chosen =
      template.find(({ name }) => name === 'default') ?? (template.length === 1 ? template[0] : undefined);
    return chosen?.template;
  }
  throw new ShoalError(
    'TOKENIZER_INVALID',
    `tokenizer_config.json: chat_template is ${typeof template}; a string or a list of { name, template } is needed`,
    { param: 'chat_template' },
  );
}

/** What a tokenizer_config.json names beside BOS and EOS, which templates see too. */
const FURTHER_TOKENS = ['unk_token', 'pad_token', 'sep_token', 'cls_token', 'mask_token'];

/** Written forms by name, of those that the config has, as a text or as { content }. */
export function specialTokensFrom(tokenizerConfig: unknown): Record<string, string> {
  if (typeof tokenizerConfig !== 'object' || tokenizerConfig === null) return {};
  const tokens: Record<string, string> = {};
  for (const name of FURTHER_TOKENS) {
    const token: unknown = Object.hasOwn(tokenizerConfig, name)
      ? Reflect.get(tokenizerConfig, name)
      : undefined;
    const written = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
    if (typeof written === 'string') tokens[name] = written;
  }
  return tokens;
}

function isNamedTemplate(value: unknown): value is { name: string; template: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'template' in value &&
    typeof value.template === 'string'
  );
}
