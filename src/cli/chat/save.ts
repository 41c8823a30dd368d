import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ShoalError } from '../../config/errors.ts';
import { fromCallersFolder } from '../callers-folder.ts';
import type { Conversation } from './conversation.ts';

/**
 * @returns what was done, for people
 * @throws INVALID_REQUEST where there is nothing to write or no name; CONFIG_INVALID where the file is there or cannot be written
 */
export async function saveConversation(
  name: string,
  { model, messages }: Pick<Conversation, 'model' | 'messages'>,
): Promise<string> {
  if (name === '')
    throw new ShoalError('INVALID_REQUEST', '/save needs a file name: /save talk.md, or talk.json');
  if (messages.length === 0) throw new ShoalError('INVALID_REQUEST', 'nothing was said yet');
  const file = resolve(fromCallersFolder(name));
  const text = name.endsWith('.json')
    ? `${JSON.stringify({ model, messages }, null, 2)}\n`
    : `# A conversation with ${model}\n${messages.map(({ role, content }) => `\n## ${role}\n\n${content}\n`).join('')}`;
  try {
    // What someone said is for them alone, and no file of theirs is written over.
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'is there already; name another' : `cannot be written: ${message}`;
    throw new ShoalError('CONFIG_INVALID', `${file} ${reason}`, { cause: error });
  }
  return `${messages.length} messages in ${file}`;
}
