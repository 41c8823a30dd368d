/** The model's name in what a backend wrote, exchanged without touching another character of it. */

import { membersOf, withMembers } from '../../config/json-text.ts';

/**
 * `json` with the value of its top-level `model`, if that is a string, replaced.
 *
 * @param json a valid JSON object
 */
export function renameModel(json: string, model: string): string {
  const isNamed = membersOf(json).some(({ key, start }) => key === 'model' && json[start] === '"');
  return isNamed ? withMembers(json, { model: JSON.stringify(model) }) : json;
}

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
