/**
 * `npm test`: types, lint, dead code, then the tests: unit beside gpu, then e2e, which wants the machine for itself.
 * Ends with `N passed, N failed` alone on a line (`, N skipped` may follow), which CI reads.
 *
 * Usage: npm test [-- unit|gpu|e2e|check …] [-- vitest's own arguments]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dawnEnvironment, findChrome } from './find-chrome.mjs';
import { runCommand } from './run-command.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const CHECKS = [
  { name: 'types', args: ['typescript/bin/tsc', '-p', '.'] },
  { name: 'lint', args: ['@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'dead code', args: ['knip/bin/knip.js'] },
];
const PROJECTS = ['unit', 'gpu', 'e2e'];
/** What hangs must still end in a report, and the whole run within 25 minutes: 10 for unit beside gpu, 14 for e2e. */
const TOOL_TIMEOUT_MS = 10 * 60_000;
const E2E_TIMEOUT_MS = 14 * 60_000;

/**
 * @typedef {object} Outcome
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 */

/**
 * @param {string} label
 * @param {readonly string[]} args of node; the first is a script below node_modules
 * @param {NodeJS.ProcessEnv} env
 * @param {boolean} buffered whether the output waits for the end, so that it does not mix with another's
 * @param {number} timeoutMs
 * @returns {Promise<number | null>} exit code, null after a signal
 */
function runTool(label, args, env, buffered, timeoutMs = TOOL_TIMEOUT_MS) {
  return new Promise((resolve) => {
    const [script = '', ...rest] = args;
    const child = spawn(process.execPath, [join(ROOT, 'node_modules', script), ...rest], {
      cwd: ROOT,
      env,
      stdio: ['ignore', buffered ? 'pipe' : 'inherit', buffered ? 'pipe' : 'inherit'],
      timeout: timeoutMs,
    });
    /** @type {Buffer[]} */
    const output = [];
    child.stdout?.on('data', (/** @type {Buffer} */ bytes) => output.push(bytes));
    child.stderr?.on('data', (/** @type {Buffer} */ bytes) => output.push(bytes));
    const started = performance.now();
    child.on('close', (code, signal) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const verdict = code === 0 ? 'ok' : signal ? `ended by ${signal}` : 'failed';
      process.stdout.write(`\n— ${label}: ${verdict} (${seconds} s)\n`);
      process.stdout.write(Buffer.concat(output));
      resolve(code);
    });
  });
}

/** @param {NodeJS.ProcessEnv} env @returns {Promise<Outcome>} */
async function runChecks(env) {
  const codes = await Promise.all(CHECKS.map(({ name, args }) => runTool(name, args, env, true)));
  // Not tests, so they do not count as passed; but a failed check is a failed run.
  return { passed: 0, failed: codes.filter((code) => code !== 0).length, skipped: 0 };
}

/**
 * @param {string} project
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} extra
 * @param {boolean} buffered
 * @returns {Promise<Outcome>}
 */
async function runProject(project, env, extra, buffered) {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-'));
  const report = join(folder, 'report.json');
  try {
    const code = await runTool(
      `${project} tests`,
      [
        'vitest/vitest.mjs',
        'run',
        '--project',
        project,
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...(extra.length > 0 ? ['--passWithNoTests', ...extra] : []),
      ],
      env,
      buffered,
      project === 'e2e' ? E2E_TIMEOUT_MS : TOOL_TIMEOUT_MS,
    );
    return countTests(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} report vitest's JSON
 * @param {number | null} code its exit code
 * @returns {Outcome}
 */
function countTests(report, code) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    // A file that fails before its first test has no failed test to count.
    const brokenFiles = testResults.filter(
      (/** @type {{ status: string, assertionResults: { status: string }[] }} */ file) =>
        file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
    ).length;
    const failed = numFailedTests + brokenFiles;
    return {
      passed: numPassedTests,
      failed: failed === 0 && code !== 0 ? 1 : failed,
      skipped: numPendingTests + numTodoTests,
    };
  } catch {
    process.stdout.write('vitest left no report: it crashed or ran out of time\n');
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** @param {NodeJS.ProcessEnv} env @returns {Promise<boolean>} */
async function hasAdapter(env) {
  try {
    const name = await runCommand(process.execPath, [join(ROOT, 'scripts', 'probe-adapter.mjs')], { env });
    process.stdout.write(`WebGPU under Node: ${name.trim().split('\n').at(-1)}\n`);
    return true;
  } catch (error) {
    process.stdout.write(
      `No WebGPU adapter under Node, so the kernels cannot be tested: on Linux Dawn needs a Vulkan driver, such as the vk_swiftshader_icd.json beside Chrome’s binary, or VK_ICD_FILENAMES naming one.\n${error instanceof Error ? error.message : ''}\n`,
    );
    return false;
  }
}

async function main() {
  const given = process.argv.slice(2);
  const chosen = given.filter((word) => PROJECTS.includes(word) || word === 'check');
  const extra = given.filter((word) => !chosen.includes(word));
  const wants = (/** @type {string} */ name) => chosen.length === 0 || chosen.includes(name);

  const chrome = findChrome();
  const env = {
    ...process.env,
    ...(chrome && { CHROME_PATH: chrome.path, ...dawnEnvironment(chrome.path) }),
  };
  /** @type {Outcome[]} */
  const outcomes = [];
  if (wants('check') && extra.length === 0) outcomes.push(await runChecks(env));
  /** @type {Promise<Outcome>[]} */
  const together = [];
  if (wants('unit')) together.push(runProject('unit', env, extra, true));
  if (wants('gpu')) {
    together.push(
      hasAdapter(env).then((there) =>
        there ? runProject('gpu', env, extra, true) : { passed: 0, failed: 1, skipped: 0 },
      ),
    );
  }
  outcomes.push(...(await Promise.all(together)));
  if (wants('e2e')) outcomes.push(await runProject('e2e', env, extra, !process.stdout.isTTY));

  const sum = (/** @type {keyof Outcome} */ key) =>
    outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const skipped = sum('skipped');
  process.stdout.write(
    `\n${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
  );
  process.exitCode = sum('failed') > 0 ? 1 : 0;
}

await main();
