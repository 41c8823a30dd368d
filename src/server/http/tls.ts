/** The certificate of an https server: the operator's, or one of its own. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import { type Certificate, keptSelfSigned, makeSelfSigned } from './self-signed.ts';

export type TlsOptions =
  | { readonly kind: 'files'; readonly certFile: string; readonly keyFile: string }
  /** Kept in `file` from start to start; without one it lives as long as the server. */
  | { readonly kind: 'self-signed'; readonly file?: string };

/** @throws CONFIG_INVALID when a file of the operator cannot be read */
export async function loadCertificate(tls: TlsOptions, boundHost: string, log: Logger): Promise<Certificate> {
  if (tls.kind === 'self-signed') {
    return tls.file === undefined ? makeSelfSigned(boundHost) : keptSelfSigned(tls.file, boundHost, log);
  }
  const cert = await readPem(tls.certFile, '--tls-cert');
  const key = await readPem(tls.keyFile, '--tls-key');
  return { cert, key };
}

/** As browsers show it of a certificate, in one word: `sha256:` and 64 hex digits. */
export const fingerprintOf = (certificate: X509Certificate | string): string =>
  `sha256:${(typeof certificate === 'string' ? new X509Certificate(certificate) : certificate).fingerprint256
    .replaceAll(':', '')
    .toLowerCase()}`;

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
