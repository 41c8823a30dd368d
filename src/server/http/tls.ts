/** The certificate of an https server: the operator's, or one made on the spot. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { generate } from 'selfsigned';
import { ShoalError } from '../../config/errors.ts';

export type TlsOptions =
  | { readonly kind: 'files'; readonly certFile: string; readonly keyFile: string }
  | { readonly kind: 'self-signed' };

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

const DNS_NAME = 2;
const IP_ADDRESS = 7;
const VALID_DAYS = 365;

/** @throws CONFIG_INVALID when a file cannot be read */
export async function loadCertificate(tls: TlsOptions, boundHost: string): Promise<Certificate> {
  if (tls.kind === 'self-signed') return selfSigned(boundHost);
  const cert = await readPem(tls.certFile, '--tls-cert');
  const key = await readPem(tls.keyFile, '--tls-key');
  return { cert, key };
}

/** Addresses of this machine that others may reach, without loopback and link-local ones. */
export function lanAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
}

/** For this machine's names and addresses; made anew at every start, so that no key lies on the disk. */
async function selfSigned(boundHost: string): Promise<Certificate> {
  const names = new Set(['localhost', hostname()]);
  const addresses = new Set(['127.0.0.1', '::1', ...lanAddresses()]);
  if (boundHost !== '0.0.0.0' && boundHost !== '::') (isIP(boundHost) ? addresses : names).add(boundHost);
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'shoal' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + VALID_DAYS * 86_400_000),
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

async function readPem(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('CONFIG_INVALID', `${option} ${file} cannot be read: ${reason}`, {
      cause,
      param: option,
    });
  }
}
