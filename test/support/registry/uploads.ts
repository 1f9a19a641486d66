import { createHash, randomUUID } from 'node:crypto';
import { type AnswerHeaders, emptyAnswer, type HttpAnswer, ociError } from './answer.ts';
import { type BlobContent, memoryBlob } from './blob.ts';
import type { Exchange } from './exchange.ts';
import type { Store } from './store.ts';

interface Upload {
  readonly id: string;
  readonly repository: string;
  readonly hash: ReturnType<typeof createHash>;
  readonly chunks: Buffer[];
  size: number;
}

export interface UploadOptions {
  /**
   * The Location of an upload, from its path and query. By default as it is, relative; `(path, origin) => origin + path`
   * makes it absolute.
   */
  readonly uploadLocation?: (path: string, origin: string) => string;
  /** False: hash and count what is pushed, but forget it, so that pushing gibibytes costs no memory. */
  readonly keepsUploadedBytes?: boolean;
}

/** Blob uploads of all repositories (distribution-spec, «Pushing blobs»). */
export class Uploads {
  readonly #store: Store;
  readonly #options: UploadOptions;
  readonly #uploads = new Map<string, Upload>();

  constructor(store: Store, options: UploadOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** POST of `/v2/<name>/blobs/uploads/`: mounts, takes the whole blob, or opens an upload. */
  async open(exchange: Exchange, repository: string): Promise<HttpAnswer> {
    const query = exchange.url.searchParams;
    const mounted = this.#store.find(query.get('from') ?? '')?.blobs.get(query.get('mount') ?? '');
    if (mounted !== undefined) return this.#keep(repository, mounted);
    const upload = { id: randomUUID(), repository, hash: createHash('sha256'), chunks: [], size: 0 };
    this.#uploads.set(upload.id, upload);
    const digest = query.get('digest');
    if (digest === null) return emptyAnswer(202, this.#progress(upload, exchange));
    await this.#append(upload, exchange);
    return this.#finish(upload, digest);
  }

  /** PATCH, PUT, GET and DELETE of the Location that `open` answered. */
  async continue(exchange: Exchange, repository: string, id: string): Promise<HttpAnswer> {
    const upload = this.#uploads.get(id);
    const query = exchange.url.searchParams;
    if (upload?.repository !== repository) return ociError(404, 'BLOB_UPLOAD_UNKNOWN', `no upload ${id}`);
    if (!isStateOf(upload, query.get('_state'), exchange.method)) {
      return ociError(400, 'BLOB_UPLOAD_INVALID', 'the query of the Location was lost, or is that of an older one');
    }
    if (exchange.method === 'GET') return emptyAnswer(204, this.#progress(upload, exchange));
    if (exchange.method === 'DELETE') {
      this.#uploads.delete(id);
      return emptyAnswer(204);
    }
    if (isOutOfOrder(exchange, upload)) return emptyAnswer(416, this.#progress(upload, exchange));
    await this.#append(upload, exchange);
    if (exchange.method === 'PATCH') return emptyAnswer(202, this.#progress(upload, exchange));
    return this.#finish(upload, query.get('digest') ?? '');
  }

  async #append(upload: Upload, exchange: Exchange): Promise<void> {
    for await (const chunk of exchange.body as AsyncIterable<Buffer>) {
      upload.hash.update(chunk);
      upload.size += chunk.length;
      if (this.#options.keepsUploadedBytes !== false) upload.chunks.push(chunk);
    }
  }

  #finish(upload: Upload, digest: string): HttpAnswer {
    this.#uploads.delete(upload.id);
    const actual = `sha256:${upload.hash.digest('hex')}`;
    if (digest !== actual) return ociError(400, 'DIGEST_INVALID', `the blob is ${actual}`);
    const isKept = this.#options.keepsUploadedBytes !== false;
    return this.#keep(
      upload.repository,
      isKept ? memoryBlob(Buffer.concat(upload.chunks), digest) : forgottenBlob(digest, upload.size),
    );
  }

  #keep(repository: string, blob: BlobContent): HttpAnswer {
    this.#store.open(repository).blobs.set(blob.digest, blob);
    const location = `/v2/${repository}/blobs/${blob.digest}`;
    return emptyAnswer(201, { location, 'docker-content-digest': blob.digest });
  }

  #progress(upload: Upload, { url }: Exchange): AnswerHeaders {
    const path = `/v2/${upload.repository}/blobs/uploads/${upload.id}?_state=${stateOf(upload)}`;
    const locate = this.#options.uploadLocation ?? ((relative: string) => relative);
    return {
      location: locate(path, url.origin),
      range: `0-${Math.max(upload.size - 1, 0)}`,
      'docker-upload-uuid': upload.id,
    };
  }
}

/** Changes with every chunk, so that a client which reuses an old Location is found out. */
function stateOf(upload: Upload): string {
  return `${upload.id.slice(0, 8)}.${upload.size}`;
}

function isStateOf(upload: Upload, state: string | null, method: string): boolean {
  const writes = method === 'PATCH' || method === 'PUT';
  // Whoever lost an answer knows only the older Location, and must be able to ask how far the upload got.
  return writes ? state === stateOf(upload) : state?.split('.')[0] === stateOf(upload).split('.')[0];
}

function isOutOfOrder({ headers }: Exchange, upload: Upload): boolean {
  const [, start] = /^(?:bytes )?(\d+)-\d+/.exec(headers['content-range'] ?? '') ?? [];
  return start !== undefined && Number(start) !== upload.size;
}

function forgottenBlob(digest: string, size: number): BlobContent {
  return {
    digest,
    size,
    // biome-ignore lint/correctness/useYield: it fails where the first byte is read, so that HEAD works
    *read() {
      throw new Error(`${digest} was pushed with keepsUploadedBytes: false and cannot be pulled`);
    },
  };
}
