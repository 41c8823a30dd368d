/** The `shoal` command. Each command's code is loaded when it runs: `shoal --help` should not wait for puppeteer. */
import { openLiveLines } from './live-lines.ts';
import { watchOutput } from './output-failure.ts';
import { createProgram, runProgram } from './program.ts';
import { endProcess, runInScope } from './scope.ts';

const INTERRUPTED = 130;

const program = createProgram({
  async up(flags, fail) {
    if (flags.raw !== undefined && flags.once !== true)
      fail('--raw completes its text once: give --once too, without a question');
    if (flags.once === true && flags.raw === undefined) fail('--once needs a question, or --raw with a text');
    // Before the code is loaded, which takes a second or more.
    const lines = openLiveLines();
    lines?.set('server', 'starting');
    const { up } = await import('./up.ts');
    await runInScope((scope) => up(flags, scope, lines), flags.once === undefined ? 0 : INTERRUPTED);
  },
  async serve(flags) {
    const { serve } = await import('./serve.ts');
    await runInScope((scope) => serve(flags, scope));
  },
  async worker(flags) {
    const { worker } = await import('./worker.ts');
    await runInScope((scope) => worker(flags, scope));
  },
  async chat(question, flags) {
    const { chat } = await import('./chat/chat.ts');
    await runInScope((scope) => chat(question, flags, scope), question === undefined ? 0 : INTERRUPTED);
  },
  async status(flags) {
    const { status } = await import('./status.ts');
    await runInScope(({ signal }) => status(flags, signal), INTERRUPTED);
  },
  async doctor(flags) {
    const { doctor } = await import('./doctor.ts');
    await runInScope(({ signal }) => doctor(flags, signal), INTERRUPTED);
  },
  async pull(id) {
    const { listModels, pull } = await import('./pull.ts');
    await runInScope(async ({ signal }) => (id === undefined ? listModels() : pull(id, signal)), INTERRUPTED);
  },
  async configCheck(file) {
    const { configCheck } = await import('./config-check.ts');
    await runInScope(() => configCheck(file));
  },
  async keysAdd(name, flags) {
    const { keysAdd } = await import('./keys.ts');
    await runInScope(() => keysAdd(name, flags));
  },
  async keysList(flags) {
    const { keysList } = await import('./keys.ts');
    await runInScope(() => keysList(flags));
  },
  async keysRemove(name, flags) {
    const { keysRemove } = await import('./keys.ts');
    await runInScope(() => keysRemove(name, flags));
  },
});

// Help and usage faults are written outside of any command's scope.
watchOutput();
await endProcess(await runProgram(program, process.argv.slice(2)));
