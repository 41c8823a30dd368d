/**
 * Files of a repository on huggingface.co, or a server with the same paths. As `huggingface_hub` does it
 * (file_download.py): HEAD of `/<repo>/resolve/<revision>/<file>` tells the commit, the size and, for large files, the sha256;
 * the file itself may lie on another host, to which it redirects.
 */
import { ShoalError } from '../config/errors.ts';
import { DOWNLOAD_STALL_MS, MAX_HUB_REDIRECTS } from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';

export interface HubFile {
  readonly bytes: number;
  /** Hex; null for small files, whose etag is git's hash. */
  readonly sha256: string | null;
  /** The commit that the revision stands for; null where the server does not say. */
  readonly commit: string | null;
}

export interface HubOptions {
  /** Without trailing slash. */
  readonly endpoint: string;
  /** Sent to the endpoint, and to no host that it redirects to. */
  readonly token?: Secret;
  readonly fetch?: typeof fetch;
}

export class HubClient {
  readonly #endpoint: string;
  readonly #token: Secret | undefined;
  readonly #fetch: typeof fetch;

  constructor({ endpoint, token, fetch: request = fetch }: HubOptions) {
    this.#endpoint = endpoint;
    this.#token = token;
    this.#fetch = request;
  }

  fileUrl(repo: string, revision: string, file: string): string {
    return `${this.#endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${file}`;
  }

  /**
   * @returns null when the repository has no such file
   * @throws DOWNLOAD_FAILED with the remedy: unreachable, gated, no such repository or revision; ABORTED
   */
  async stat(repo: string, revision: string, file: string, signal: AbortSignal): Promise<HubFile | null> {
    const url = this.fileUrl(repo, revision, file);
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_STALL_MS)]);
    let response: Response;
    try {
      // The headers in question come with the redirect to another host, not after it.
      response = await this.#request(url, { method: 'HEAD', signal: inTime }, 'stop at other hosts');
    } catch (error) {
      if (error instanceof ShoalError) throw error;
      if (signal.aborted) throw new ShoalError('ABORTED', `the download of ${repo} was stopped`);
      throw new ShoalError(
        'DOWNLOAD_FAILED',
        `${this.#endpoint} cannot be reached (${reasonOf(error)}); check the network, or name a mirror with HF_ENDPOINT`,
        { cause: error },
      );
    }
    const { status, headers } = response;
    const isThere = response.ok || (status >= 300 && status < 400);
    if (!isThere) {
      if (status === 404 && isMissingFile(headers.get('x-error-code'))) return null;
      throw this.#refusal(repo, revision, status, headers);
    }
    const bytes = Number(headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN);
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new ShoalError(
        'DOWNLOAD_FAILED',
        `${url} does not say how large the file is; is HF_ENDPOINT a Hugging Face mirror?`,
      );
    }
    const etag = (headers.get('x-linked-etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
    return {
      bytes,
      sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : null,
      commit: headers.get('x-repo-commit'),
    };
  }

  /** `fetch` for the files: follows redirects itself, so that the token stays with the endpoint. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> =>
    this.#request(url, init, 'follow');

  async #request(
    url: string,
    init: RequestInit,
    redirects: 'follow' | 'stop at other hosts',
  ): Promise<Response> {
    const origin = new URL(this.#endpoint).origin;
    let target = new URL(url);
    for (let hops = 0; hops <= MAX_HUB_REDIRECTS; hops++) {
      const headers = new Headers(init.headers);
      // Ranges and sizes are of the file's own bytes.
      headers.set('accept-encoding', 'identity');
      if (this.#token !== undefined && target.origin === origin) {
        headers.set('authorization', `Bearer ${this.#token.reveal()}`);
      }
      const request = this.#fetch;
      const response = await request(target.href, { ...init, headers, redirect: 'manual' });
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      const next = new URL(location, target);
      if (redirects === 'stop at other hosts' && next.origin !== origin) return response;
      await response.body?.cancel();
      if (next.protocol !== 'https:' && next.protocol !== target.protocol) {
        throw new ShoalError(
          'DOWNLOAD_FAILED',
          `${target.origin} redirects to ${next.protocol}//${next.host}; files are not fetched that way`,
        );
      }
      target = next;
    }
    throw new ShoalError('DOWNLOAD_FAILED', `${url} redirects more than ${MAX_HUB_REDIRECTS} times`);
  }

  #refusal(repo: string, revision: string, status: number, headers: Headers): ShoalError {
    const code = headers.get('x-error-code');
    const page = `${this.#endpoint}/${repo}`;
    const withToken =
      this.#token === undefined ? 'set HF_TOKEN to a token of yours' : 'check what HF_TOKEN may read';
    const reason =
      code === 'GatedRepo'
        ? `is gated: accept its conditions at ${page}, and ${withToken}`
        : code === 'RevisionNotFound'
          ? `has no revision "${revision}"; see ${page}/tree/main`
          : status === 401 || status === 403
            ? `is private, or does not exist (HTTP ${status}); ${withToken}`
            : status === 404
              ? 'does not exist; check its name'
              : status === 429
                ? 'was asked for too often (HTTP 429); wait a minute, or set HF_TOKEN, which raises the limit'
                : `was answered with HTTP ${status}; try again later`;
    return new ShoalError('DOWNLOAD_FAILED', `${repo} ${reason}`);
  }
}

/** Mirrors without error codes answer a plain 404. */
const isMissingFile = (code: string | null) => code === null || code === 'EntryNotFound';

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error instanceof Error ? error.message : String(error);
}
