/** Progress on stderr (stdout belongs to answers): a spinner on a terminal, one plain line a step otherwise. */

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 90;

/**
 * Runs `work` under a title; a failure passes through.
 * @template T
 * @param {string} title what is being done, e.g. "Installing packages"
 * @param {(report: (detail: string) => void) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  if (!process.stderr.isTTY) {
    process.stderr.write(`${title} …\n`);
    const result = await work(() => {});
    process.stderr.write(`${title}: done in ${seconds()}\n`);
    return result;
  }
  let detail = '';
  let frame = 0;
  const draw = () => {
    const line = `${FRAMES[frame++ % FRAMES.length]} ${title} ${seconds()}${detail && `  ${detail}`}`;
    process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  };
  const timer = setInterval(draw, FRAME_MS);
  draw();
  try {
    const result = await work((text) => {
      detail = text;
    });
    process.stderr.write(`\r\x1b[2K✓ ${title} (${seconds()})\n`);
    return result;
  } catch (error) {
    process.stderr.write(`\r\x1b[2K✗ ${title}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
