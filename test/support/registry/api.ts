import { emptyAnswer, type HttpAnswer, ociError } from './answer.ts';
import { answerBlob, type BlobRedirect } from './blobs.ts';
import type { Exchange } from './exchange.ts';
import type { Gate } from './gate.ts';
import { answerCatalog, answerReferrers, answerTags } from './listing.ts';
import { answerManifest } from './manifests.ts';
import type { Mutable, RecordedRequest } from './request-log.ts';
import { neededAccess, parseRoute, type Route } from './route.ts';
import type { Store } from './store.ts';
import { type UploadOptions, Uploads } from './uploads.ts';

export interface ApiOptions extends UploadOptions {
  /** Where GET and HEAD of a blob are redirected to; by default nowhere. */
  readonly redirectBlobs?: BlobRedirect;
}

/** The paths under `/v2/`. */
export class RegistryApi {
  readonly #store: Store;
  readonly #gate: Gate;
  readonly #uploads: Uploads;
  readonly #redirectBlobs: BlobRedirect;

  constructor(store: Store, gate: Gate, options: ApiOptions) {
    this.#store = store;
    this.#gate = gate;
    this.#uploads = new Uploads(store, options);
    this.#redirectBlobs = options.redirectBlobs ?? (() => undefined);
  }

  /** Completes the record with what only a registry knows of a request. */
  describe(exchange: Exchange): RecordedRequest {
    const record: Mutable<RecordedRequest> = exchange.record;
    const repository = repositoryOf(parseRoute(exchange.url.pathname));
    const tokenAccess = this.#gate.tokenAccess?.(exchange);
    if (repository !== undefined) record.repository = repository;
    if (tokenAccess !== undefined) record.tokenAccess = tokenAccess;
    return record;
  }

  refuse(exchange: Exchange): HttpAnswer | undefined {
    const route = parseRoute(exchange.url.pathname);
    if (route === undefined) return undefined;
    return this.#gate.refuse(exchange, neededAccess(exchange.method, route, exchange.url.searchParams));
  }

  async answer(exchange: Exchange): Promise<HttpAnswer> {
    const route = parseRoute(exchange.url.pathname);
    const answer =
      route === undefined
        ? ociError(404, 'NAME_UNKNOWN', `${exchange.url.pathname} is no path of the registry API`)
        : (this.refuse(exchange) ?? (await this.#route(exchange, route)));
    return { ...answer, headers: { 'docker-distribution-api-version': 'registry/2.0', ...answer.headers } };
  }

  async #route(exchange: Exchange, route: Route): Promise<HttpAnswer> {
    if (!methodsOf[route.kind].includes(exchange.method)) {
      return ociError(405, 'UNSUPPORTED', `${exchange.method} is not supported here`);
    }
    switch (route.kind) {
      case 'ping':
        return emptyAnswer(200);
      case 'catalog':
        return answerCatalog(exchange, this.#store);
      case 'tags':
        return answerTags(exchange, this.#store, route.repository);
      case 'referrers':
        return answerReferrers(exchange, this.#store, route.repository, route.reference);
      case 'manifests':
        return answerManifest(exchange, this.#store, route);
      case 'blobs':
        return answerBlob(exchange, this.#store, route, this.#redirectBlobs);
      case 'uploads':
        return this.#uploads.open(exchange, route.repository);
      case 'upload':
        return this.#uploads.continue(exchange, route.repository, route.id);
    }
  }
}

const methodsOf: Record<Route['kind'], readonly string[]> = {
  ping: ['GET', 'HEAD'],
  catalog: ['GET'],
  tags: ['GET'],
  referrers: ['GET'],
  manifests: ['GET', 'HEAD', 'PUT', 'DELETE'],
  blobs: ['GET', 'HEAD', 'DELETE'],
  uploads: ['POST'],
  upload: ['PATCH', 'PUT', 'GET', 'DELETE'],
};

function repositoryOf(route: Route | undefined): string | undefined {
  return route !== undefined && 'repository' in route ? route.repository : undefined;
}
