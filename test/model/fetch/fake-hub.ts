import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A server with huggingface.co's paths and headers, and a second one for the large files, to which it redirects: as
 * `huggingface_hub` describes them (file_download.py: get_hf_file_metadata, and utils/_http.py for the error codes).
 */
export class FakeHub {
  readonly files = new Map<string, Uint8Array>();
  readonly requests: {
    readonly host: 'hub' | 'storage';
    readonly line: string;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  commit = '1'.repeat(40);
  /** The only one that the repository is open to; undefined: everyone. */
  token: string | undefined;
  errorCode = 'GatedRepo';
  /** Storage breaks each connection after so many bytes of a body. */
  breakAfterBytes = Number.POSITIVE_INFINITY;
  /** Changes what storage sends, not what the hub says of it. */
  corrupt = false;
  repo = 'org/model';
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#storage = createServer((request, response) => this.#store(request, response));
  }

  static async start(): Promise<FakeHub> {
    const fake = new FakeHub();
    for (const server of [fake.#hub, fake.#storage]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push({ host: 'hub', line: `${request.method} ${request.url}`, headers: request.headers });
    const [, repo, revision, name = ''] =
      /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url ?? '') ?? [];
    if (repo === 'org/old-name') {
      response.writeHead(307, { location: request.url!.replace('old-name', 'model') }).end();
      return;
    }
    if (repo !== this.repo) return void response.writeHead(401, { 'x-error-code': 'RepoNotFound' }).end();
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      return void response.writeHead(401, { 'x-error-code': this.errorCode }).end();
    }
    if (revision !== 'main' && revision !== this.commit) {
      return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
    }
    const content = this.files.get(name);
    if (content === undefined) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    const common = { 'x-repo-commit': this.commit, 'accept-ranges': 'bytes' };
    if (!name.endsWith('.safetensors')) {
      send(request, response, content, { ...common, etag: '"0123"' });
      return;
    }
    const { port } = this.#storage.address() as AddressInfo;
    response.writeHead(302, {
      ...common,
      location: `http://localhost:${port}/signed/${name}`,
      'x-linked-size': String(content.length),
      'x-linked-etag': `"${createHash('sha256').update(content).digest('hex')}"`,
    });
    response.end();
  }

  #store(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push({
      host: 'storage',
      line: `${request.method} ${request.url}`,
      headers: request.headers,
    });
    const content = this.files.get(request.url!.replace('/signed/', ''))!;
    const sent = this.corrupt ? content.map((byte) => byte ^ 1) : content;
    send(request, response, sent, {}, this.breakAfterBytes);
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  headers: Record<string, string>,
  breakAfterBytes = Number.POSITIVE_INFINITY,
): void {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = range
    ? [Number(range[1]), Math.min(content.length, Number(range[2]) + 1)]
    : [0, content.length];
  response.writeHead(range ? 206 : 200, {
    ...headers,
    'content-length': String(end - start),
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }),
  });
  if (request.method === 'HEAD') return void response.end();
  if (end - start <= breakAfterBytes) return void response.end(content.subarray(start, end));
  response.write(content.subarray(start, start + breakAfterBytes), () => response.destroy());
}
