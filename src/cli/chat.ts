import { createInterface } from 'node:readline/promises';
import { Secret } from '../config/secret.ts';
import { type ApiClient, ask, type ChatMessage, firstModel } from './api-client.ts';
import { forStdout, printable } from './printable.ts';
import type { ChatFlags } from './program.ts';
import { printError, type Scope } from './scope.ts';
import { fetchWith } from './server-trust.ts';

/**
 * `shoal chat`: one question, or a conversation that ends with Ctrl-D. SHOAL_API_KEY is the server's key, where it asks for
 * one: a command line shows in every list of processes.
 */
export async function chat(question: string | undefined, flags: ChatFlags, scope: Scope): Promise<void> {
  const key = process.env.SHOAL_API_KEY;
  const client: ApiClient = {
    baseUrl: flags.server,
    fetch: fetchWith(flags.server, flags),
    ...(key && { apiKey: new Secret(key) }),
  };
  const model = await firstModel(client, scope.signal);
  const messages: ChatMessage[] = [];

  async function turn(content: string): Promise<void> {
    const asked: ChatMessage[] = [...messages, { role: 'user', content }];
    const { text } = await ask(
      client,
      model,
      { type: 'chat', messages: asked },
      flags,
      scope.signal,
      (piece) => {
        process.stdout.write(forStdout(piece));
      },
    );
    process.stdout.write('\n');
    messages.push({ role: 'user', content }, { role: 'assistant', content: text });
  }

  if (question !== undefined) return turn(question);
  const isTyped = process.stdin.isTTY;
  if (isTyped) process.stderr.write(`${printable(model)} at ${flags.server}; Ctrl-D ends.\n`);
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    prompt: isTyped ? '> ' : '',
  });
  // readline takes Ctrl-C from the terminal for itself.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  scope.defer(async () => lines.close());
  lines.prompt();
  for await (const line of lines) {
    // A failed turn is told and left out of the conversation.
    if (line.trim() !== '') await turn(line.trim()).catch(printError);
    lines.prompt();
  }
  // The shell's prompt belongs on a line of its own.
  if (isTyped) process.stderr.write('\n');
}
