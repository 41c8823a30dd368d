/** A conversation at a terminal: prompts and notes go to stderr, answers alone to stdout. */
import { ShoalError } from '../../config/errors.ts';
import { type ApiClient, type ListedModel, listModels } from '../api-client.ts';
import { forStdout, printable } from '../printable.ts';
import type { ChatFlags } from '../program.ts';
import { printError, type Scope } from '../scope.ts';
import type { Conversation } from './conversation.ts';
import { addToHistory, historyFile, readHistory } from './history-file.ts';
import { type CommandName, HELP, parseInput } from './input-line.ts';
import { saveConversation } from './save.ts';
import { contextNotes, servedBy } from './served-line.ts';
import { TypedInput } from './typed-input.ts';

export interface Talk {
  readonly client: ApiClient;
  readonly conversation: Conversation;
  readonly flags: ChatFlags;
}

export async function talk({ client, conversation, flags }: Talk, scope: Scope): Promise<void> {
  const file = historyFile(process.env);
  const input = new TypedInput({
    input: process.stdin,
    output: process.stderr,
    history: flags.history ? readHistory(file) : [],
    onLine: (line) => {
      if (flags.history) addToHistory(file, line);
    },
  });
  scope.defer(async () => input.close());
  let models = await listModels(client, scope.signal);
  note(
    `${printable(conversation.model)} at ${flags.server}. /help lists commands; Ctrl-C stops an answer, Ctrl-D ends.`,
  );
  for (;;) {
    const typed = await input.read();
    if (typed === null) break;
    if (typed === '') continue;
    const parsed = parseInput(typed);
    try {
      if (parsed.kind === 'unknown') note(parsed.message);
      else if (parsed.kind === 'question') await input.whileBusy((stop) => turn(parsed.text, stop));
      else if (parsed.name === 'exit') break;
      else await run(parsed.name, parsed.rest);
    } catch (error) {
      printError(error);
      if (error instanceof ShoalError && error.code === 'CONTEXT_LENGTH_EXCEEDED')
        note('/clear starts a new conversation; your text is one arrow key up');
    }
  }
  // The shell's prompt belongs on a line of its own.
  process.stderr.write('\n');

  async function turn(text: string, stop: AbortSignal): Promise<void> {
    let last = '\n';
    const result = await conversation
      .ask(text, AbortSignal.any([stop, scope.signal]), (piece) => {
        const shown = forStdout(piece);
        process.stdout.write(shown);
        last = shown.at(-1) ?? last;
      })
      .finally(() => {
        if (last !== '\n') process.stdout.write('\n');
      });
    if (result.kind === 'stopped')
      return note(result.text === '' ? 'stopped; nothing had come' : 'stopped; Ctrl-C again ends the chat');
    const context = { ...flags, ...contextOf(models, conversation.model) };
    note([servedBy(result.answer), ...contextNotes(result.answer, context)].join(' · '));
  }

  async function run(name: Exclude<CommandName, 'exit'>, rest: string): Promise<void> {
    switch (name) {
      case 'help':
        return note(HELP);
      case 'clear':
        conversation.clear();
        return note('a new conversation');
      case 'system':
        if (rest === 'off') conversation.system = null;
        else if (rest !== '') conversation.system = rest;
        return note(
          conversation.system === null ? 'no instructions' : `system: ${printable(conversation.system)}`,
        );
      case 'model':
        models = await listModels(client, scope.signal);
        if (rest !== '') conversation.model = rest;
        return note(modelLines(models, conversation).join('\n'));
      case 'save':
        return note(await saveConversation(rest, conversation));
      default:
        return name satisfies never;
    }
  }
}

const contextOf = (models: readonly ListedModel[], model: string) => {
  const { contextLength } = models.find(({ id }) => id === model) ?? {};
  return contextLength === undefined ? {} : { contextLength };
};

function modelLines(models: readonly ListedModel[], { model, messages }: Conversation): string[] {
  const listed = models.map(({ id, contextLength }) => {
    const context = contextLength === undefined ? '' : `, context ${contextLength}`;
    return `${id === model ? '*' : ' '} ${printable(id)}${context}`;
  });
  if (!models.some(({ id }) => id === model))
    listed.push(`* ${printable(model)}, which the server does not list`);
  if (messages.length > 0) listed.push('what was said so far goes along; /clear starts anew');
  return listed;
}

const isColoured = !process.env.NO_COLOR && process.env.TERM !== 'dumb';

/** Beside the conversation, and to be told from it. */
function note(text: string): void {
  process.stderr.write(isColoured ? `\x1b[2m${text}\x1b[22m\n` : `${text}\n`);
}
