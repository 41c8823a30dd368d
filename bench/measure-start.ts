import { spawn } from 'node:child_process';

const QUESTION = 'What is the capital of Japan?';

/** Seconds from a warm `npm start -- --once …` (packages, browser and page are there) to its answer. */
export async function measureStart(workers: number): Promise<{ seconds: number; answer: string }> {
  const startMs = performance.now();
  const args = ['start', '--silent', '--', '--port', '0', '--workers', String(workers), '--once', QUESTION];
  const child = spawn('npm', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let answer = '';
  let complaints = '';
  let seconds = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (answer === '') seconds = (performance.now() - startMs) / 1_000;
    answer += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4_000);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`npm start ended with ${code}:\n${complaints}`);
  return { seconds, answer: answer.trim() };
}
