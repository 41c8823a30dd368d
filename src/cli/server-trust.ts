/**
 * Whose TLS certificate a command takes. Without a flag: one that this machine trusts. `--tls-fingerprint`: the one that the
 * server printed at its start, whatever name and maker stand in it. `--insecure`: any.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { connect, TLSSocket } from 'node:tls';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { ShoalError } from '../config/errors.ts';
import { UPSTREAM_PROBE_MS } from '../config/limits.ts';
import { fingerprintOf } from '../server/http/tls.ts';

export type ServerFetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface TrustFlags {
  /** `sha256:` and 64 lower-case hex digits. */
  readonly tlsFingerprint?: string;
  readonly insecure?: boolean;
}

/**
 * For requests over HTTP; nothing is sent before the certificate is known to be the right one.
 * @throws CERTIFICATE_REFUSED for a fingerprint of a server without TLS
 */
export function fetchWith(server: string, trust: TrustFlags): ServerFetch {
  if (!needsCare(server, trust)) return fetch;
  const connector = buildConnector({ rejectUnauthorized: false, maxCachedSessions: 0 });
  const dispatcher = new Agent({
    connect(options, callback) {
      connector(options, (...[error, socket]) => {
        const wrong = error ?? certificateFault(socket!, trust);
        if (wrong === null) return callback(null, socket!);
        socket?.destroy();
        callback(wrong, null);
      });
    },
  });
  // Node's own fetch may be of another version than the dispatcher.
  return (url, init) => undiciFetch(url, { ...(init as object), dispatcher }) as unknown as Promise<Response>;
}

/** The same for a WebSocket; undefined where Node's own rules do. */
export function agentWith(server: string, trust: TrustFlags): HttpsAgent | undefined {
  if (!needsCare(server, trust)) return undefined;
  const agent = new HttpsAgent({ maxCachedSessions: 0 });
  agent.createConnection = (options, callback) => {
    const socket = connect({ ...(options as object), rejectUnauthorized: false }, () => {
      const wrong = certificateFault(socket, trust);
      if (wrong !== null) socket.destroy();
      callback?.(wrong, socket);
    });
    socket.once('error', (error) => callback?.(error, socket));
    return undefined as unknown as TLSSocket;
  };
  return agent;
}

/** @throws CERTIFICATE_REFUSED unless the server has the certificate of that fingerprint; BACKEND_FAILED where there is none */
export async function pinnedCertificate(server: string, fingerprint: string): Promise<X509Certificate> {
  const certificate = await presentedCertificate(server).catch((error: unknown) => {
    throw new ShoalError(
      'BACKEND_FAILED',
      `${server} cannot be reached over TLS (${reasonOf(error)}); is the server running there?`,
      { cause: error },
    );
  });
  const wrong = mismatch(certificate, fingerprint);
  if (wrong !== null) throw wrong;
  return certificate;
}

/** What Chrome wants to know a certificate by: base64 of the SHA-256 of its public key. */
export const publicKeyHash = (certificate: X509Certificate): string =>
  createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');

/** Of an error's code, as Node's TLS gives it. */
export const isUntrusted = (code: string): boolean => /CERT|SELF_SIGNED|VERIFY/.test(code);

/** Where a certificate was not trusted: what it was, and what to do. */
export async function untrustedHint(server: string, reason: string): Promise<string> {
  const certificate = await presentedCertificate(server).catch(() => null);
  const own =
    certificate === null
      ? 'if the server made it itself, give the fingerprint that it printed at its start: --tls-fingerprint sha256:…'
      : `if the server printed the same fingerprint at its start, add: --tls-fingerprint ${fingerprintOf(certificate)}`;
  return `its certificate is not trusted here (${reason}); ${own}; a CA of your own: NODE_EXTRA_CA_CERTS=ca.pem; --insecure takes any`;
}

function needsCare(server: string, { tlsFingerprint, insecure }: TrustFlags): boolean {
  const isTls = new URL(server).protocol === 'https:';
  if (tlsFingerprint !== undefined && !isTls) throw noTls();
  return isTls && (tlsFingerprint !== undefined || insecure === true);
}

function certificateFault(socket: TLSSocket | Socket, { tlsFingerprint }: TrustFlags): ShoalError | null {
  if (tlsFingerprint === undefined) return null;
  if (!(socket instanceof TLSSocket))
    return new ShoalError('CERTIFICATE_REFUSED', 'the server sent the request on to an address without TLS');
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined)
    return new ShoalError('CERTIFICATE_REFUSED', 'the server showed no certificate');
  return mismatch(certificate, tlsFingerprint);
}

function mismatch(certificate: X509Certificate, wanted: string): ShoalError | null {
  const found = fingerprintOf(certificate);
  if (found === wanted) return null;
  return new ShoalError(
    'CERTIFICATE_REFUSED',
    `the server's certificate has ${found}, and --tls-fingerprint asks for ${wanted}. If the server was set up anew, compare with what it printed at its start; if not, somebody stands between`,
  );
}

const noTls = () =>
  new ShoalError(
    'CERTIFICATE_REFUSED',
    '--tls-fingerprint is of an https:// server, and --server says http://',
  );

function presentedCertificate(server: string): Promise<X509Certificate> {
  const { protocol, hostname, port } = new URL(server);
  if (protocol !== 'https:') return Promise.reject(noTls());
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(port || 443),
      rejectUnauthorized: false,
      timeout: UPSTREAM_PROBE_MS,
      // An address is no server name.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    });
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(new Error('it showed no certificate'));
      else resolve(certificate);
    });
    socket.once('timeout', () => socket.destroy(new Error('it says nothing')));
    socket.once('error', reject);
  });
}

const reasonOf = (error: unknown) =>
  error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error);
