import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keptSelfSigned } from '../../../src/server/http/self-signed.ts';

let folder: string;
let file: string;
const told: string[] = [];
const log = pino({}, { write: (line: string) => void told.push(JSON.parse(line).msg) });
const load = () => keptSelfSigned(file, '127.0.0.1', log);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-tls-'));
  file = join(folder, 'state', 'self-signed.pem');
  told.length = 0;
});
afterEach(() => rm(folder, { recursive: true }));

it('is kept from start to start, for its owner alone', async () => {
  const made = await load();
  const kept = await load();
  expect([kept.cert, kept.key]).toEqual([made.cert.trim(), made.key.trim()]);
  expect(new X509Certificate(made.cert).subjectAltName).toMatch(/localhost.*127\.0\.0\.1/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'state'))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(folder, 'state'))).toEqual(['self-signed.pem']);
  expect(told).toEqual([]);
});

it('is made anew, and that is told, where the file is broken or runs out', async () => {
  const first = await load();
  await writeFile(file, 'nonsense');
  const second = await load();
  expect(second.cert).not.toBe(first.cert);
  expect(told).toEqual([expect.stringMatching(/holds no certificate and key/)]);

  const soon = await generate([{ name: 'commonName', value: 'shoal' }], {
    keyType: 'ec',
    notAfterDate: new Date(Date.now() + 10 * 86_400_000),
  });
  await writeFile(file, soon.cert + soon.private);
  const third = await load();
  expect(third.cert).not.toBe(soon.cert);
  expect(told[1]).toMatch(/runs out/);
  expect(await readFile(file, 'utf8')).toContain(third.cert.trim());
});

it('serves without a place to keep it, and says so', async () => {
  await writeFile(join(folder, 'state'), 'a file where the folder should be');
  expect((await load()).cert).toContain('BEGIN CERTIFICATE');
  expect(told.at(-1)).toMatch(/cannot be kept/);
  await chmod(folder, 0o700);
});
