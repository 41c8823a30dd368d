/** A certificate that the server makes for itself, and keeps: whoever has compared its fingerprint once can go on trusting it. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { generate } from 'selfsigned';
import { lanAddresses } from './lan-addresses.ts';

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const DNS_NAME = 2;
const IP_ADDRESS = 7;
const VALID_DAYS = 365;
const DAY_MS = 86_400_000;
/** A kept certificate must last for a while yet, so that it does not run out under a running server. */
const LEAST_REST_DAYS = 30;

/** For this machine's names and addresses. */
export async function makeSelfSigned(boundHost: string): Promise<Certificate> {
  const names = new Set(['localhost', hostname()]);
  const addresses = new Set(['127.0.0.1', '::1', ...lanAddresses()]);
  if (boundHost !== '0.0.0.0' && boundHost !== '::') (isIP(boundHost) ? addresses : names).add(boundHost);
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'shoal' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...[...names].map((value) => ({ type: DNS_NAME, value }) as const),
          ...[...addresses].map((ip) => ({ type: IP_ADDRESS, ip }) as const),
        ],
      },
    ],
  });
  return { cert, key };
}

/**
 * The certificate and key of `file`, made where there are none or they run out. They are kept though the machine's addresses
 * change (they do every day, with temporary IPv6 ones): browsers warn anyway, and a fingerprint holds for any name.
 * A folder that cannot be written is no reason not to serve.
 */
export async function keptSelfSigned(file: string, boundHost: string, log: Logger): Promise<Certificate> {
  const kept = await readKept(file, log);
  if (kept !== null) return kept;
  const made = await makeSelfSigned(boundHost);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const partial = `${file}.${process.pid}`;
    await rm(partial, { force: true });
    await writeFile(partial, `${made.cert}\n${made.key}\n`, { mode: 0o600, flag: 'wx' });
    await rename(partial, file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`the certificate cannot be kept, so the next start has another fingerprint: ${reason}`);
  }
  return made;
}

async function readKept(file: string, log: Logger): Promise<Certificate | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') log.warn(`${file}: ${(error as Error).message}`);
    return null;
  }
  const [cert] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? [];
  const [key] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text) ?? [];
  try {
    if (cert !== undefined && key !== undefined) {
      const restMs = Date.parse(new X509Certificate(cert).validTo) - Date.now();
      if (restMs > LEAST_REST_DAYS * DAY_MS) return { cert, key };
      log.warn(`${file} runs out; a new certificate is made, with another fingerprint`);
      return null;
    }
  } catch {
    // Told with the rest.
  }
  log.warn(`${file} holds no certificate and key of Shoal; they are made anew`);
  return null;
}
