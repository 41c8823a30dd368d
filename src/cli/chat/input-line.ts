import { didYouMean } from '../../config/nearest.ts';

export const COMMANDS = {
  help: 'this list',
  clear: 'start a new conversation',
  system: 'TEXT: how the model should behave; without a text shows it, "off" takes it away',
  model: 'ID: ask another model from now on; without an id lists them',
  save: 'FILE: write the conversation to a new file; as messages where it ends in .json',
  exit: 'end; so does Ctrl-D',
} as const;

export type CommandName = keyof typeof COMMANDS;

/** Other names that people try. */
const ALIASES: Readonly<Record<string, CommandName>> = {
  bye: 'exit',
  quit: 'exit',
  '?': 'help',
  reset: 'clear',
};

export type Input =
  | { readonly kind: 'question'; readonly text: string }
  | { readonly kind: 'command'; readonly name: CommandName; readonly rest: string }
  | { readonly kind: 'unknown'; readonly message: string };

/** What someone typed: a question, or a command. A slash in a path, after a space or in several lines is a question's. */
export function parseInput(typed: string): Input {
  const [, word, rest = ''] = /^\/([a-z]+|\?)(?:[ \t]+(.*))?$/i.exec(typed.trimEnd()) ?? [];
  if (word === undefined) return { kind: 'question', text: typed.trim() };
  const wanted = word.toLowerCase();
  const name = ALIASES[wanted] ?? (Object.hasOwn(COMMANDS, wanted) ? (wanted as CommandName) : undefined);
  if (name !== undefined) return { kind: 'command', name, rest: rest.trim() };
  return {
    kind: 'unknown',
    message: `there is no /${wanted}${didYouMean(wanted, Object.keys(COMMANDS))}; /help lists what there is, and a space before it makes it a question`,
  };
}

export const HELP = [
  ...Object.entries(COMMANDS).map(([name, text]) => `  /${name.padEnd(7)} ${text}`),
  '  """      begins and ends a text of several lines; pasted lines are kept together by themselves',
  '  Ctrl-C   stops an answer, or takes back what is typed; at an empty prompt it ends the chat',
].join('\n');
