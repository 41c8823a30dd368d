/** What was typed in earlier chats, for the arrow keys. A line a text, the newest last; for its owner alone. */
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAX_CHAT_HISTORY_CHARS, MAX_CHAT_HISTORY_LINES } from '../../config/limits.ts';
import { stateFolder } from '../../config/state-folder.ts';

export const historyFile = (env: NodeJS.ProcessEnv): string => join(stateFolder(env), 'chat-history');

/** @returns the newest first, as readline wants them; nothing where there is no file, or none that can be read */
export function readHistory(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').filter((line) => line !== '');
  const kept = bounded(lines);
  // Only when it has grown to twice its bound is it written anew, so that two chats at once rarely meet.
  if (lines.length > 2 * MAX_CHAT_HISTORY_LINES || text.length > 2 * MAX_CHAT_HISTORY_CHARS) {
    quietly(() => writeFileSync(file, `${kept.join('\n')}\n`, { mode: 0o600 }));
  }
  return kept.reverse();
}

/** A folder that cannot be written costs the history, not the chat. */
export function addToHistory(file: string, line: string): void {
  if (line.trim() === '' || line.includes('\n') || line.length > MAX_CHAT_HISTORY_CHARS / 8) return;
  quietly(() => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    appendFileSync(file, `${line}\n`, { mode: 0o600 });
    // Of a file that was there before, too.
    chmodSync(file, 0o600);
  });
}

function bounded(lines: readonly string[]): string[] {
  let chars = 0;
  const kept: string[] = [];
  for (const line of lines.slice(-MAX_CHAT_HISTORY_LINES).reverse()) {
    chars += line.length + 1;
    if (chars > MAX_CHAT_HISTORY_CHARS) break;
    kept.push(line);
  }
  return kept.reverse();
}

function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // Told nowhere: the next prompt is worth more.
  }
}
