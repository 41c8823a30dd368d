import { checkTextLength, spendOnLength } from './meter.ts';
import { str } from './repr.ts';
import { Markup, type Value } from './value.ts';

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

/** markupsafe.escape: what is markup already stays. */
export function escapeHtml(value: Value): Markup {
  if (value instanceof Markup) return value;
  const text = str(value);
  spendOnLength(text.length);
  const escaped = text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
  checkTextLength(escaped.length);
  return new Markup(escaped);
}
