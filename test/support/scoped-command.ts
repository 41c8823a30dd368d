/** A command for the test of its scope: says what happens to it, and waits to be stopped. */
import { runInScope } from '../../src/cli/scope.ts';
import { untilStopped } from '../../src/cli/stay-up.ts';

const follows = process.argv.includes('--follows');
const say = (line: string) => process.stdout.write(`${line}\n`);

await runInScope(async (scope) => {
  scope.defer(async () => say('closed first opened'));
  scope.defer(() => new Promise(() => {}), 50);
  scope.defer(async () => say('closed last opened'));
  if (follows) scope.onHangUp(() => say('hung up'));
  const waiting = setInterval(() => {}, 1_000);
  say('runs');
  await untilStopped(scope.signal);
  clearInterval(waiting);
});
