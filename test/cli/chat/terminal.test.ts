import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasPseudoTerminals, runAtTerminal, type TerminalRun } from '../../support/pseudo-terminal.ts';

// Each case starts Node at a terminal; on a busy machine that takes seconds.
vi.setConfig({ testTimeout: 120_000 });

const CTRL_C = '\x03';
const CTRL_D = '\x04';

let server: Server;
let url: string;
let folder: string;
let run: TerminalRun;
/** What the server was asked, and whether the client is still there. */
let asked: { messages: { role: string; content: string }[]; model: string; isOpen: boolean }[];

const event = (chunk: object) => `data: ${JSON.stringify(chunk)}\n\n`;
const piece = (content: string) => event({ choices: [{ delta: { content }, finish_reason: null }] });
const end = (finish_reason: string, completion_tokens = 2) =>
  `${event({ choices: [{ delta: {}, finish_reason }] })}${event({ choices: [], usage: { prompt_tokens: 7, completion_tokens } })}data: [DONE]\n\n`;

/** "endless" is answered until the client hangs up, "long" up to the context's end, anything else with an echo. */
function answer(content: string, response: ServerResponse): void {
  response.setHeader('x-shoal-served-by', 'name=box&lender=provider-1&by=alice');
  if (content.includes('endless')) {
    response.write(piece('once and '));
    const more = setInterval(() => response.write(piece('again ')), 20);
    response.once('close', () => clearInterval(more));
  } else if (content.includes('long')) response.end(piece('cut here') + end('length', 93));
  else if (content.includes('too much')) {
    response.statusCode = 400;
    response.end(
      JSON.stringify({ error: { message: '200 tokens, at most 100', code: 'context_length_exceeded' } }),
    );
  } else response.end(piece(`you said ${JSON.stringify(content)}`) + end('stop'));
}

beforeEach(async () => {
  asked = [];
  folder = mkdtempSync(join(tmpdir(), 'shoal-chat-'));
  server = createServer(async (request, response) => {
    if (request.url === '/v1/models')
      return response.end('{"data":[{"id":"m","max_model_len":100},{"id":"other"}]}');
    let body = '';
    for await (const part of request) body += part;
    const entry = { ...JSON.parse(body), isOpen: true };
    asked.push(entry);
    response.once('close', () => {
      entry.isOpen = false;
    });
    return answer(entry.messages.at(-1).content, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  if (run.child.exitCode === null) run.child.kill('SIGKILL');
  await run.ended;
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function start(...args: string[]): Promise<void> {
  run = runAtTerminal(['chat', '--server', url, ...args], { SHOAL_HOME: folder });
  await run.see('/help lists commands');
  await run.see('> ');
}
const roles = () => asked.at(-1)!.messages.map(({ role }) => role);

describe.runIf(hasPseudoTerminals)('shoal chat at a terminal', () => {
  it('Ctrl-C stops an answer and stays; what had come is part of the conversation; at an empty prompt it ends', async () => {
    await start();
    run.type('endless\r');
    await run.see('again again');
    run.type(CTRL_C);
    await run.see('stopped; Ctrl-C again ends the chat');
    await run.see('> ');
    await vi.waitUntil(() => !asked[0]!.isOpen);
    run.type('and then?\r');
    await run.see('you said "and then?"');
    await run.see(/box, lent by alice.* · context 9 of 100 tokens/);
    expect(roles()).toEqual(['user', 'assistant', 'user']);
    expect(asked[1]!.messages[1]!.content).toMatch(/^once and (again )+$/);
    await run.see('> ');
    // A line that is begun is taken back first.
    run.type('never sent');
    await run.see('never sent');
    run.type(CTRL_C);
    await run.see('^C');
    await run.see('> ');
    run.type(CTRL_C);
    expect(await run.ended).toBe(0);
    expect(asked).toHaveLength(2);
    const [on, off] = ['\x1b[?2004h', '\x1b[?2004l'].map((mark) => run.raw().lastIndexOf(mark));
    expect(on).toBeGreaterThan(-1);
    expect(off).toBeGreaterThan(on!);
  });

  it('takes pasted lines and blocks as one question', async () => {
    await start();
    run.type('\x1b[200~first\r\n  second\rthird\x1b[201~');
    await run.see('[pasted 1: 3 lines]');
    run.type(' what is it?\r');
    await run.see('you said');
    expect(asked[0]!.messages[0]!.content).toBe('first\n  second\nthird what is it?');
    await run.see('> ');
    run.type('"""\ra\r\rb"""\r');
    await run.see('you said');
    expect(asked[1]!.messages.at(-1)!.content).toBe('a\n\nb');
    await run.see('> ');
    run.type('\x1b[200~one line\x1b[201~\r');
    await run.see('you said "one line"');
    run.type(CTRL_D);
    expect(await run.ended).toBe(0);
  });

  it('obeys commands, and knows a mistyped one from a question', async () => {
    await start('--model', 'other');
    run.type('/help\r');
    for (const name of ['/clear', '/system', '/model', '/save', '/exit', 'Ctrl-C']) await run.see(name);
    run.type('/system be brief\r');
    await run.see('system: be brief');
    run.type('/usr/bin is what?\r');
    await run.see('you said "/usr/bin is what?"');
    expect(asked[0]).toMatchObject({
      model: 'other',
      messages: [{ role: 'system', content: 'be brief' }, {}],
    });
    run.type('/modl m\r');
    await run.see('there is no /modl; did you mean model?');
    run.type('/model m\r');
    await run.see('* m, context 100');
    run.type(`/save ${folder}/talk.json\r`);
    await run.see('3 messages in');
    run.type(`/save ${folder}/talk.json\r`);
    await run.see('is there already');
    run.type('/clear\r');
    await run.see('a new conversation');
    run.type('hello\r');
    await run.see('you said "hello"');
    expect(asked[1]).toMatchObject({ model: 'm' });
    expect(roles()).toEqual(['system', 'user']);
    run.type('/exit\r');
    expect(await run.ended).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, 'talk.json'), 'utf8')).messages).toHaveLength(3);
  });

  it('says that the context is full, and names the way out', async () => {
    await start();
    run.type('long\r');
    await run.see(/context 100 of 100 tokens · cut: the context is full; \/clear/);
    run.type('too much\r');
    await run.see('CONTEXT_LENGTH_EXCEEDED: 200 tokens');
    await run.see('/clear starts a new conversation');
    run.type(CTRL_D);
    expect(await run.ended).toBe(0);
  });

  it('brings back what was typed in an earlier chat, from a file for its owner alone', async () => {
    await start();
    run.type('remember me\r');
    await run.see('you said "remember me"');
    run.type(CTRL_D);
    await run.ended;
    const file = join(folder, 'state', 'chat-history');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await start();
    run.type('\x1b[A');
    await run.see('remember me');
    run.type('\r');
    await run.see('you said "remember me"');
    run.type('/exit\r');
    await run.ended;
    expect(readFileSync(file, 'utf8')).toBe('remember me\nremember me\n/exit\n');
    await start('--no-history');
    run.type('secret\r');
    await run.see('you said "secret"');
    run.type(CTRL_D);
    await run.ended;
    expect(readFileSync(file, 'utf8')).not.toContain('secret');
  });

  it('ends the answer and the chat on SIGTERM', async () => {
    await start();
    run.type('endless\r');
    await run.see('again');
    run.child.kill('SIGTERM');
    await vi.waitUntil(() => !asked[0]!.isOpen, { timeout: 60_000 });
  });
});
