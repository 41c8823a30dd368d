/** The model's name in what a backend wrote, exchanged without touching another character of it. */

import { exchangeMember } from './json-member.ts';

/** @param json a valid JSON object, whose top-level `model` is replaced if it is a text */
export const renameModel = (json: string, model: string) =>
  exchangeMember(json, 'model', (value) => (value.startsWith('"') ? JSON.stringify(model) : null));

/**
 * `message` with the backend's name for the model replaced where it stands as a name: in quotes, or behind the word "model".
 * A name such as `default` is a word of other sentences too, and `llama3` is the start of `llama3-8b`; those stay.
 */
export function renameInMessage(message: string, theirs: string, ours: string): string {
  const name = theirs.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const quoted = new RegExp(`(?<=(["'\`]))${name}(?=\\1)|(?<=[“‘])${name}(?=[”’])`, 'g');
  const named = new RegExp(`(?<=\\bmodel(?:\\s+|\\s*[:=]\\s*))${name}(?![\\w/:@-]|\\.\\w)`, 'gi');
  return message.replaceAll(quoted, () => ours).replaceAll(named, () => ours);
}
