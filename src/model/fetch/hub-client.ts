/**
 * Files of a repository on huggingface.co, or a server with the same paths. As `huggingface_hub` does it
 * (file_download.py): HEAD of `/<repo>/resolve/<revision>/<file>` tells the commit, the size and, for large files, the sha256;
 * the file itself may lie on another host, to which it redirects.
 */
import { ShoalError } from '../../config/errors.ts';
import { DOWNLOAD_STALL_MS, MAX_HUB_REDIRECTS } from '../../config/limits.ts';
import type { Secret } from '../../config/secret.ts';

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
    try {
      const told = await this.#told(url, 'HEAD', inTime);
      // Some hosts sign an address for GET alone, compress what they answer, or do not know its length.
      const found = told.isThere && told.bytes === null ? await this.#told(url, 'GET', inTime) : told;
      const { status, headers } = found.response;
      if (!found.isThere) {
        if (status === 404 && isMissingFile(headers.get('x-error-code'))) return null;
        throw this.#refusal(repo, revision, status, headers);
      }
      if (found.bytes === null) {
        throw new ShoalError(
          'DOWNLOAD_FAILED',
          `${url} does not say how large the file is; is HF_ENDPOINT a Hugging Face mirror?`,
        );
      }
      const sha256 = found.sha256 ?? told.sha256;
      return { bytes: found.bytes, sha256, commit: found.commit ?? told.commit };
    } catch (error) {
      if (error instanceof ShoalError) throw error;
      if (signal.aborted) throw new ShoalError('ABORTED', `the download of ${repo} was stopped`);
      throw new ShoalError(
        'DOWNLOAD_FAILED',
        `${this.#endpoint} cannot be reached (${reasonOf(error)}); check the network, or name a mirror with HF_ENDPOINT`,
        { cause: error },
      );
    }
  }

  /**
   * What the answers on the way to a file say of it. The hub's own come with its redirect to the host of large files, which is
   * then not asked; a mirror's redirect says nothing, and has a length of its own.
   */
  async #told(url: string, method: 'HEAD' | 'GET', signal: AbortSignal): Promise<Told> {
    const told = {
      bytes: null as number | null,
      sha256: null as string | null,
      commit: null as string | null,
    };
    const response = await this.#request(
      url,
      { method, signal, ...(method === 'GET' && { headers: { range: 'bytes=0-0' } }) },
      ({ headers }) => {
        told.commit ??= headers.get('x-repo-commit');
        told.bytes ??= sizeIn(headers.get('x-linked-size'));
        const etag = (headers.get('x-linked-etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
        told.sha256 ??= /^[0-9a-f]{64}$/.test(etag) ? etag : null;
        return told.bytes !== null;
      },
    );
    await response.body?.cancel();
    const { status, ok } = response;
    if (ok) told.bytes ??= fileSize(response);
    const isTold = REDIRECTS.has(status) && told.bytes !== null;
    // The hub itself says why it refuses; a host that it leads to may only refuse to be asked this way.
    const isElsewhere = new URL(response.url || url).origin !== new URL(this.#endpoint).origin;
    const isOddMethod = status === 405 || status === 501 || (status === 403 && isElsewhere);
    return { ...told, response, isThere: ok || isTold || (method === 'HEAD' && isOddMethod) };
  }

  /** `fetch` for the files: follows redirects itself, so that the token stays with the endpoint. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> =>
    this.#request(url, init, () => false);

  /** @param isEnough told of every answer; true: a redirect to another host is not followed */
  async #request(
    url: string,
    init: RequestInit,
    isEnough: (response: Response) => boolean,
  ): Promise<Response> {
    const { origin } = new URL(this.#endpoint);
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
      const knows = isEnough(response);
      const location = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || location === null) return response;
      const next = URL.canParse(location, target.href) ? new URL(location, target) : null;
      if (knows && next?.origin !== origin) return response;
      await response.body?.cancel();
      if (next === null || (next.protocol !== 'https:' && next.protocol !== target.protocol)) {
        const to = next === null ? 'what is no address' : `${next.protocol}//${next.host}`;
        throw new ShoalError(
          'DOWNLOAD_FAILED',
          `${target.origin} redirects to ${to}; files are not fetched that way`,
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

/** Answers that lead on (RFC 9110 §15.4); the others of 3xx do not, or not for GET. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

interface Told extends Omit<HubFile, 'bytes'> {
  readonly bytes: number | null;
  readonly response: Response;
  /** It is there, or may be: only its size is not known. */
  readonly isThere: boolean;
}

/** The length of a body is the file's where it is the whole body, and not compressed; a range names the whole. */
function fileSize({ status, headers }: Response): number | null {
  if (status === 206) return sizeIn(/\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ?? null);
  const encoding = headers.get('content-encoding') ?? 'identity';
  return encoding === 'identity' ? sizeIn(headers.get('content-length')) : null;
}

function sizeIn(header: string | null): number | null {
  const bytes = header === null || !/^\d+$/.test(header) ? Number.NaN : Number(header);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Mirrors without error codes answer a plain 404. */
const isMissingFile = (code: string | null) => code === null || code === 'EntryNotFound';

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error instanceof Error ? error.message : String(error);
}
