import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../../../src/cli/api-client.ts';
import { Conversation } from '../../../src/cli/chat/conversation.ts';
import { addToHistory, historyFile, readHistory } from '../../../src/cli/chat/history-file.ts';
import { parseInput } from '../../../src/cli/chat/input-line.ts';
import { PasteStream } from '../../../src/cli/chat/paste-stream.ts';
import { contextNotes, servedBy } from '../../../src/cli/chat/served-line.ts';
import { MAX_CHAT_HISTORY_LINES } from '../../../src/config/limits.ts';

it.each([
  ['/help', { kind: 'command', name: 'help', rest: '' }],
  ['/System  be brief ', { kind: 'command', name: 'system', rest: 'be brief' }],
  ['/bye', { kind: 'command', name: 'exit' }],
  [' /help is what?', { kind: 'question', text: '/help is what?' }],
  ['/usr/bin', { kind: 'question' }],
  ['/help\nme', { kind: 'question' }],
  ['/toString', { kind: 'unknown' }],
  ['1/2', { kind: 'question' }],
])('%j is what it looks like', (typed, input) => {
  expect(parseInput(typed)).toMatchObject(input);
});

const answer = (over: Partial<Answer>): Answer => ({
  text: '',
  finishReason: 'stop',
  served: null,
  node: null,
  usage: null,
  streamMs: 0,
  ...over,
});
const usage = { promptTokens: 90, completionTokens: 10 };

describe('after an answer', () => {
  it('stands who served it, and how fast', () => {
    const served = {
      stages: [
        { name: 'a', layers: [0, 4] as [number, number] },
        { name: 'b', layers: [4, 8] as [number, number] },
      ],
      restarts: 1,
      losses: [{ worker: 'c', how: 'left' as const }],
      tokens_per_second: 12.34,
    };
    expect(servedBy(answer({ served }))).toBe(
      'a (layers 0–3) → b (layers 4–7), moved 1×: c left, 12.3 tokens/s',
    );
    expect(servedBy(answer({ served: { ...served, crossings: 1 } }))).toContain('words may differ');
    const node = { name: 'box (ollama)', lender: { id: 'x', name: 'alice' } };
    expect(servedBy(answer({ node, usage, streamMs: 900 }))).toBe(
      'box (ollama), lent by alice, 10.0 tokens/s',
    );
    expect(servedBy(answer({}))).toBe('the configured backend');
    // Those who lend name themselves, and the header may carry any character.
    const steering = { name: 'x', lender: { id: 'p', name: '\x1b]0;owned\x07\n> ' } };
    expect(servedBy(answer({ node: steering }))).toBe('x, lent by  ]0;owned > ');
    const [stage] = served.stages;
    expect(servedBy(answer({ served: { ...served, stages: [{ ...stage!, name: '\x9b2J' }] } }))).toMatch(
      /^ 2J/,
    );
  });

  it('stands how full the context is, and what cut the answer', () => {
    const cut = answer({ finishReason: 'length', usage });
    expect(contextNotes(answer({ usage }), { contextLength: 512 })).toEqual(['context 100 of 512 tokens']);
    expect(contextNotes(cut, { contextLength: 100 })[1]).toMatch(/context is full; \/clear/);
    expect(contextNotes(cut, { contextLength: 512, maxTokens: 10 })[1]).toBe('cut after --max-tokens 10');
    expect(contextNotes(answer({ finishReason: 'length' }), {})).toEqual([expect.stringContaining('/clear')]);
    expect(contextNotes(answer({}), {})).toEqual([]);
  });
});

it('a stopped answer without any text leaves nothing in the conversation, and a failed one neither', async () => {
  const client = (response: () => Promise<Response>) => ({ baseUrl: 'http://h', fetch: response });
  const stopped = new Conversation(
    client(() => Promise.reject(new Error('aborted'))),
    'm',
    { temperature: 0 },
  );
  expect(await stopped.ask('hi', AbortSignal.abort(), () => {})).toEqual({ kind: 'stopped', text: '' });
  expect(stopped.messages).toEqual([]);
  const failing = new Conversation(
    client(async () => new Response('data: {"choices":[{"delta":{"content":"half"}}]}\n\n')),
    'm',
    { temperature: 0 },
  );
  await expect(failing.ask('hi', new AbortController().signal, () => {})).rejects.toThrow('finish reason');
  expect(failing.messages).toEqual([]);
});

describe('keys', () => {
  const passed = (...chunks: string[]) => {
    const keys = new PasteStream(() => {});
    for (const chunk of chunks) keys.write(chunk);
    return { keys, text: String(keys.read() ?? '') };
  };

  it('of a paste come together, wherever its marks are cut', () => {
    const pasted = 'x\x1b[200~a\nb\x1b[201~y';
    for (let at = 3; at < pasted.length; at++) {
      // A lone escape, and one with a bracket, are keys of their own.
      if (at <= 3) continue;
      const { keys, text } = passed(pasted.slice(0, at), pasted.slice(at));
      expect(text).toBe('x[pasted 1: 2 lines]y');
      expect(keys.expand(text)).toBe('xa\nby');
    }
  });

  it('of a paste hold no escape sequences, and a mark that nobody pasted is a text', () => {
    expect(passed('\x1b[200~a\x1b[2Jb\x07\x1b[201~').text).toBe('a[2Jb');
    expect(passed('').keys.expand('[pasted 7: 2 lines]')).toBe('[pasted 7: 2 lines]');
    expect(passed('\x1b[A').text).toBe('\x1b[A');
  });

  it('wait while an answer is on its way; Ctrl-C is heard, and forgets what was typed before it', () => {
    const keys = new PasteStream(() => {});
    let interrupts = 0;
    keys.hold(() => interrupts++);
    keys.write('old\x03new');
    expect([interrupts, keys.read()]).toEqual([1, null]);
    keys.release();
    expect(String(keys.read())).toBe('new');
  });
});

describe('history', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-history-'));
    file = historyFile({ SHOAL_HOME: folder });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('lies in the user’s state folder', () => {
    expect(historyFile({ XDG_STATE_HOME: '/x' })).toBe('/x/shoal/chat-history');
    expect(historyFile({})).toMatch(/\.local\/state\/shoal\/chat-history$/);
  });

  it('is bounded, newest first, and written anew when it has grown', () => {
    expect(readHistory(file)).toEqual([]);
    addToHistory(file, 'one');
    addToHistory(file, '  ');
    addToHistory(file, 'two');
    expect(readHistory(file)).toEqual(['two', 'one']);
    const many = Array.from({ length: 2 * MAX_CHAT_HISTORY_LINES + 1 }, (_, i) => `line ${i}`);
    writeFileSync(file, `${many.join('\n')}\n`);
    const read = readHistory(file);
    expect([read.length, read[0]]).toEqual([MAX_CHAT_HISTORY_LINES, `line ${2 * MAX_CHAT_HISTORY_LINES}`]);
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(MAX_CHAT_HISTORY_LINES);
    addToHistory(file, 'x'.repeat(1_000_000));
    expect(readHistory(file)[0]).not.toContain('xxx');
  });

  it('that cannot be written costs no chat', () => {
    writeFileSync(join(folder, 'state'), 'a file where the folder should be');
    addToHistory(file, 'one');
    expect(readHistory(file)).toEqual([]);
  });
});
