import { Buffer } from 'node:buffer';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { ResolvedConnector } from '../connectors/connector.ts';
import {
  type Action,
  type Caller,
  type Grant,
  type GrantSource,
  type GrantWant,
  isSameGrant,
} from '../credentials/grant.ts';
import { whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { ProxyError } from '../platform/errors.ts';
import { toProxyError } from '../platform/network-error.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { isProven, noteProven, refusalInTrial } from './grant-trial.ts';
import { headersForUpload, upstreamHeaders } from './headers.ts';
import { type Mount, mountOf, mountQuery } from './mount.ts';
import type { Operation } from './operation.ts';
import { isRedirect, type RedirectFrom, redirectTarget } from './redirect.ts';
import { denial } from './refusal.ts';
import { RefusedGrants } from './refused-grants.ts';
import { type Held, type Outcome, relay } from './relay.ts';
import { answer, type RequestBody, StreamedBody } from './request-body.ts';
import { isLasting, isPassing, untilRetry } from './retry.ts';
import { isRead, registryActions } from './rights.ts';
import type { RepositoryRoute } from './route.ts';
import { openUpload, withCallersQuery } from './upload-address.ts';
import { upstreamRepository } from './upstream-repository.ts';
import { answerToWrite } from './write-answer.ts';

export interface WriteOptions {
  readonly grants: GrantSource;
  readonly transport: RegistryTransport;
  readonly connector: ResolvedConnector;
  readonly caller: Caller;
  readonly route: RepositoryRoute;
  readonly action: Action;
  readonly body: RequestBody;
  readonly sealing: SealingKeys;
  /** Whether the caller may also pull from a repository of the connector, as it names it. */
  readonly mayPull: (repository: string) => Promise<boolean>;
  readonly operation: Operation;
  readonly signal: AbortSignal;
  /** Told of the registry's answers. */
  readonly onAnswer?: (status: number, headers: IncomingHttpHeaders) => void;
  /** 0 ≤ n < 1; spreads retries. */
  readonly random: () => number;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** A registry that puts a blob together, or copies it into its storage, takes its time. */
const slowMs = 600_000;
const promptMs = 60_000;
/** A grant that a body is sent with has to be good for so long at least. */
const freshMs = 60_000;
const redirectsMax = 3;
/** What a registry says to an upload's step, or a deletion, that it has done already: no fault of the caller's. */
const doneBefore: ReadonlySet<number> = new Set([400, 404, 416]);
const empty = Buffer.alloc(0);
const forms = /form-urlencoded|multipart/i;
/** What is there for a part of an upload on another host than the registry's. */
const uploadMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']);

/**
 * Carries one request through that changes something at the registry: a push, a deletion, whatever belongs to an upload.
 * Answers come back with our addresses instead of the registry's.
 * @throws ProxyError as long as the caller has seen nothing
 */
export async function write(request: IncomingMessage, response: ServerResponse, options: WriteOptions): Promise<void> {
  await new Writing(request, response, options).run();
}

class Writing {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: WriteOptions;
  readonly #method: string;
  #want: GrantWant;
  #mount: Mount | undefined;
  #url: URL;
  #grant: Grant = { kind: 'anonymous' };
  readonly #body: RequestBody;
  /** Credentials whose grants were refused. */
  readonly #refusedGrants = new RefusedGrants();
  #isRetried = false;
  /** Why something was sent twice that may have been done the first time, with only its answer lost. */
  #doubt: Error | undefined;
  /** The body is announced by `Expect: 100-continue`. */
  #isAnnounced = true;
  #redirects = 0;

  constructor(request: IncomingMessage, response: ServerResponse, options: WriteOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.#method = request.method ?? '';
    this.#body = options.body;
    const { connector, route, caller, action, operation } = options;
    const repository = upstreamRepository(connector, route.repository);
    operation.repository = repository;
    this.#want = { connector, repository, actions: registryActions(action, this.#method), caller, freshMs };
    this.#url = new URL(connector.address.origin);
  }

  async run(): Promise<void> {
    const { signal, grants } = this.#options;
    await this.#aim();
    // What is on another host has its authorization in its address.
    if (this.#isOurs) this.#grant = await grants.grant(this.#want, signal);
    if (this.#body instanceof StreamedBody && this.#isOurs) await this.#tryGrant();
    for (let isDone = false; !isDone; ) isDone = await this.#settle(await this.#send());
  }

  /** Whether the request goes to the registry itself, and not to a host that it named. */
  get #isOurs(): boolean {
    return this.#url.origin === this.#options.connector.address.origin;
  }

  /** Finds out where the request is for. */
  async #aim(): Promise<void> {
    const { connector, route, sealing, now, mayPull } = this.#options;
    const { endpoint, query, tail } = route;
    const { repository } = this.#want;
    if (endpoint.kind === 'upload') {
      const url = await openUpload(endpoint.sealed, connector, repository, sealing, now());
      this.#url = withCallersQuery(url, query);
      if (this.#isOurs || uploadMethods.has(this.#method)) return;
      throw new ProxyError('METHOD_UNSUPPORTED', `an upload is not continued by ${this.#method}`);
    }
    if (endpoint.kind !== 'uploads') {
      this.#url = this.#apiUrl(tail, query);
      return;
    }
    const mount = mountOf(route, connector);
    if (mount !== undefined && (await mayPull(mount.from))) this.#mount = mount;
    this.#begin();
  }

  /** The beginning of an upload, with the mount if there is one. */
  #begin(): void {
    const { mountFrom: _, ...want } = this.#want;
    this.#want = this.#mount === undefined ? want : { ...want, mountFrom: this.#mount.upstream };
    this.#url = this.#apiUrl('blobs/uploads/', mountQuery(this.#options.route.query, this.#mount));
  }

  #apiUrl(tail: string, query: string): URL {
    return new URL(`${this.#options.connector.address.origin}/v2/${this.#want.repository}/${tail}${query}`);
  }

  /**
   * A body that is not in memory can be sent once. A registry that waits to be asked for it refuses a grant before; one
   * behind a proxy that answers `100 Continue` by itself does not, and so a grant is tried out that has not been used lately.
   */
  async #tryGrant(): Promise<void> {
    const { now, transport } = this.#options;
    if (isProven(this.#grant, now())) return;
    const refusal = await refusalInTrial(this.#grant, this.#want.repository, transport, this.#response);
    if (refusal !== undefined) await this.#reauthorize(refusal);
  }

  #send(): Promise<Outcome> {
    const { transport } = this.#options;
    const body = this.#body ?? (isRead(this.#method) ? null : empty);
    return relay(
      transport.dispatcherFor(this.#url),
      {
        origin: this.#url.origin,
        path: this.#url.pathname + this.#url.search,
        method: this.#method,
        headers: this.#headers(),
        headersTimeout: this.#headersMs,
        body,
        // A registry that refuses says so before the body is on its way, and so it can be sent with another grant.
        expectContinue: body instanceof StreamedBody && this.#isAnnounced,
      },
      this.#response,
      { verdict: () => 'hold', readBuffers: transport.readBuffers },
    );
  }

  get #headersMs(): number {
    const { endpoint, query } = this.#options.route;
    const isBare = endpoint.kind === 'uploads' && query === '';
    return isBare || this.#method === 'DELETE' || isRead(this.#method) ? promptMs : slowMs;
  }

  #headers(): Record<string, string | string[]> {
    const headers = upstreamHeaders(this.#request.headers);
    const { kind } = this.#options.route.endpoint;
    // Servers look for `mount` and `from` in forms as well, and there nobody has looked at them.
    const mayBeForm = kind === 'uploads' || forms.test(String(headers['content-type']));
    if (headers['content-type'] !== undefined && mayBeForm) headers['content-type'] = 'application/octet-stream';
    if (!this.#isOurs) return headersForUpload(headers);
    if (this.#grant.kind === 'authorization') headers['authorization'] = this.#grant.value;
    return headers;
  }

  /** What an outcome leads to; true when the caller has been answered. */
  async #settle(outcome: Outcome): Promise<boolean> {
    const { signal, operation } = this.#options;
    if (this.#body !== undefined) {
      operation.received = this.#body instanceof StreamedBody ? this.#body.sent : this.#body.length;
    }
    if (signal.aborted) throw signal.reason;
    if (outcome.kind === 'failed') return this.#afterFailure(outcome.error);
    if (outcome.kind === 'held') return this.#afterHeld(outcome);
    throw new Error(`an answer that was to be held is ${outcome.kind}`);
  }

  /** The body is still all there, and can be sent (again). */
  get #isReplayable(): boolean {
    return !(this.#body instanceof StreamedBody && this.#body.isStarted);
  }

  /** What may be done twice: within an upload, the second of two equal requests would be refused. */
  get #isRepeatable(): boolean {
    return this.#isReplayable && this.#options.route.endpoint.kind !== 'upload';
  }

  async #afterFailure(error: Error): Promise<boolean> {
    const isStale = (error as { isStale?: unknown }).isStale === true;
    const mayRetry = this.#isRepeatable || (isStale && this.#isReplayable);
    if (this.#isRetried || !mayRetry || isLasting(error)) throw toProxyError(error, this.#url.host);
    const isDoneOnce = this.#method === 'DELETE' || (!this.#isRepeatable && this.#method !== 'GET');
    if (isDoneOnce && !(this.#body instanceof StreamedBody)) this.#doubt = error;
    return this.#retry();
  }

  async #retry(): Promise<false> {
    const { random, signal } = this.#options;
    this.#isRetried = true;
    await untilRetry(1, random, signal);
    return false;
  }

  async #afterHeld(held: Held): Promise<boolean> {
    const { status } = held;
    if (this.#isOurs) this.#options.onAnswer?.(status, held.headers);
    if (isPassing(status) && this.#isRepeatable && !this.#isRetried) return this.#retry();
    if (this.#doubt !== undefined && doneBefore.has(status)) throw toProxyError(this.#doubt, this.#url.host);
    if (status === 417 && this.#isReplayable && this.#isAnnounced) {
      // Something on the way knows no announcements: then the body comes without (RFC 9110, section 10.1.1).
      this.#isAnnounced = false;
      return false;
    }
    if (isRedirect(status, held.headers)) return this.#redirect(held);
    if (this.#isOurs && (status === 401 || status === 403)) return this.#refused(held);
    // What else there is may be said by somebody before the registry, who has not looked at the grant.
    if (this.#isOurs && (status < 300 || status === 404 || status === 416))
      noteProven(this.#grant, this.#options.now());
    if (status === 401) throw new ProxyError('UPSTREAM_PROTOCOL', `${this.#url.host} refused the upload with 401`);
    await this.#answer(held);
    return true;
  }

  async #refused(held: Held): Promise<boolean> {
    const { grants, signal } = this.#options;
    if (this.#refusedGrants.mayAsk(this.#grant, held.status)) {
      const isNew = await this.#reauthorize(held);
      if (isNew && this.#isReplayable) return false;
      // The registry did not wait to be asked whether it takes the body; what the caller sends next has the new grant.
      if (isNew) throw lapsed(this.#url.host);
    }
    if (this.#mount === undefined || !this.#isReplayable) throw denial(held, this.#want, this.#grant, this.#url.host);
    // Some registries refuse a mount that they will not do, and not only the mount: then the blob is uploaded.
    this.#mount = undefined;
    this.#refusedGrants.clear();
    this.#begin();
    this.#grant = await grants.grant(this.#want, signal);
    return false;
  }

  /** Whether there is another grant than the one that was refused. */
  async #reauthorize({ status, headers }: Held): Promise<boolean> {
    const { grants, signal } = this.#options;
    const former = this.#grant;
    const refused = { grant: former, challenge: headers['www-authenticate'], isForbidden: status === 403 };
    this.#grant = await grants.grant({ ...this.#want, refused }, signal);
    return !isSameGrant(this.#grant, former);
  }

  async #redirect(held: Held): Promise<boolean> {
    const url = await redirectTarget(String(held.headers.location), this.#redirectFrom);
    this.#redirects += 1;
    const isFollowed = url.origin === this.#url.origin && this.#isReplayable && this.#redirects <= redirectsMax;
    if (!isFollowed) {
      const message = `the registry sends a ${this.#method} on to ${url.host}: pushes are not sent elsewhere`;
      throw new ProxyError('UPSTREAM_PROTOCOL', message);
    }
    this.#url = url;
    return false;
  }

  get #redirectFrom(): RedirectFrom {
    const { connector, transport } = this.#options;
    // Also from another host: what leads back to the registry gets our grant again, and has to be the connector's.
    const start = new URL(connector.address.origin);
    return { transport, start, url: this.#url, want: this.#want, grant: this.#grant };
  }

  /** The registry's own words, with our addresses. */
  async #answer(held: Held): Promise<void> {
    const { operation } = this.#options;
    const { headers, body } = await answerToWrite(held, { ...this.#options, ...this.#redirectFrom });
    operation.status = held.status;
    if (held.status >= 400) operation.reason = whatRegistrySaidTo(this.#grant, body.toString());
    operation.bytes = body.length;
    const digest = held.headers['docker-content-digest'];
    if (typeof digest === 'string') operation.digest = digest;
    answer(this.#request, this.#response, held.status, headers, body);
  }
}

const lapsed = (host: string): ProxyError =>
  new ProxyError(
    'GRANT_LAPSED',
    `the registry ${host} took back what it had granted while the body came: send it again`,
    {
      headers: { 'retry-after': '1' },
    },
  );
