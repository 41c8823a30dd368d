import { createInterface } from 'node:readline/promises';
import { Secret } from '../../config/secret.ts';
import { type ApiClient, firstModel } from '../api-client.ts';
import { forStdout } from '../printable.ts';
import type { ChatFlags } from '../program.ts';
import { printError, type Scope } from '../scope.ts';
import { fetchWith } from '../server-trust.ts';
import { Conversation } from './conversation.ts';
import { talk } from './talk.ts';

/**
 * `shoal chat`: one question, a question a line from a pipe, or a conversation at a terminal. SHOAL_API_KEY is the server's
 * key, where it asks for one: a command line shows in every list of processes.
 */
export async function chat(question: string | undefined, flags: ChatFlags, scope: Scope): Promise<void> {
  const { server } = flags;
  const key = process.env.SHOAL_API_KEY;
  const client: ApiClient = {
    baseUrl: server,
    fetch: fetchWith(server, flags),
    ...(key && { apiKey: new Secret(key) }),
  };
  const model = flags.model ?? (await firstModel(client, scope.signal));
  const conversation = new Conversation(client, model, flags);
  if (question === undefined && process.stdin.isTTY && process.stderr.isTTY)
    return talk({ client, conversation, flags }, scope);

  const turn = async (text: string) => {
    await conversation.ask(text, scope.signal, (piece) => void process.stdout.write(forStdout(piece)));
    process.stdout.write('\n');
  };
  if (question !== undefined) return turn(question);
  const lines = createInterface({ input: process.stdin });
  scope.defer(async () => lines.close());
  for await (const line of lines) {
    // A failed turn is told and left out of the conversation.
    if (line.trim() !== '') await turn(line.trim()).catch(printError);
  }
}
