import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { type Caller, type Grant, type GrantSource, type GrantWant, isSameGrant } from '../credentials/grant.ts';
import { whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { ProxyError } from '../platform/errors.ts';
import { toProxyError } from '../platform/network-error.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type CentreRoute, centreUrl, refusalOfCentre } from './centre-route.ts';
import { headersForBytes, upstreamHeaders } from './headers.ts';
import { rewriteLink } from './link.ts';
import type { Operation } from './operation.ts';
import { isRedirect, redirectTarget } from './redirect.ts';
import { denial, passedOn, withoutEchoes } from './refusal.ts';
import { RefusedGrants } from './refused-grants.ts';
import { type Held, type Outcome, type Progress, relay, type Verdict } from './relay.ts';
import { continues, missingRange, resumptionHeaders } from './resumption.ts';
import { isLasting, isPassing, untilRetry } from './retry.ts';
import type { RepositoryRoute } from './route.ts';
import { upstreamRepository } from './upstream-repository.ts';

export interface ForwardOptions {
  readonly grants: GrantSource;
  readonly transport: RegistryTransport;
  readonly connector: ResolvedConnector;
  readonly caller: Caller;
  readonly centre?: CentreRoute | undefined;
  readonly route: RepositoryRoute;
  /** Told of the registry's answers that are no content. */
  readonly onAnswer?: (status: number, headers: IncomingHttpHeaders) => void;
  readonly operation: Operation;
  readonly signal: AbortSignal;
  /** 0 ≤ n < 1; spreads retries. */
  readonly random: () => number;
}

const redirectsMax = 5;
/**
 * Attempts after the first, before the first byte. The centre is tried more often where it breaks off: one replica that
 * ends must cost no pull. What it answers is the registry's answer, for which it has tried again itself.
 */
const retriesMax = 1;
const relayRetriesMax = 6;
/** A blob that breaks off is continued this often as long as each attempt brings bytes. */
const resumptionsMax = 5;

/**
 * Carries one read of the registry API through: gets a grant, sends the request, and answers the caller with what
 * comes back. It retries once before the first byte, renews a grant that was refused, follows redirects or hands them
 * on, and continues a blob that broke off.
 * @throws ProxyError as long as the caller has seen nothing; what breaks later breaks the caller's connection
 */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  options: ForwardOptions,
): Promise<void> {
  await new Forwarding(request, response, options).run();
}

class Forwarding {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ForwardOptions;
  readonly #want: GrantWant;
  readonly #headers: Record<string, string | string[]>;
  /** Where the request is for: the registry, or the centre. */
  #start: URL;
  /** Where the next request goes: the registry, or where it sent us. */
  #url: URL;
  #grant: Grant = { kind: 'anonymous' };
  /** The registry sent us to another host: whatever sends us back from there does not get our grant. */
  #hasLeft = false;
  /** Credentials whose grants were refused, or that may see less than another. */
  readonly #refused = new RefusedGrants();
  #retries = 0;
  #redirects = 0;
  #resumptions = 0;
  #broken: Progress | undefined;
  /** Bytes that had been sent when the blob was last continued. */
  #resumedAt = -1;

  constructor(request: IncomingMessage, response: ServerResponse, options: ForwardOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    const { connector, route, caller, operation } = options;
    const repository = upstreamRepository(connector, route.repository);
    operation.repository = repository;
    this.#want = { connector, repository, actions: ['pull'], caller };
    this.#headers = upstreamHeaders(request.headers);
    this.#url = this.#start = new URL(connector.address.origin);
  }

  async run(): Promise<void> {
    this.#take(await this.#options.grants.grant(this.#want, this.#options.signal));
    for (let isDone = false; !isDone; ) {
      const outcome = await this.#send();
      isDone = await this.#settle(outcome);
    }
  }

  /** From here on requests carry this grant, and begin where it says. */
  #take(grant: Grant): void {
    this.#grant = grant;
    const { centre, connector, route } = this.#options;
    if (grant.kind === 'relay') {
      if (centre === undefined) throw new Error('a grant says relay where there is nobody to relay to');
      this.#start = centreUrl(centre, route);
    } else {
      const { tail, query } = route;
      this.#start = new URL(`${connector.address.origin}/v2/${this.#want.repository}/${tail}${query}`);
    }
    this.#url = this.#start;
    this.#hasLeft = false;
    this.#redirects = 0;
  }

  get #isRelayed(): boolean {
    return this.#grant.kind === 'relay';
  }

  #dispatcher(): Dispatcher {
    const { centre, transport } = this.#options;
    return this.#isRelayed && centre !== undefined ? centre.dispatcher : transport.dispatcherFor(this.#url);
  }

  #send(): Promise<Outcome> {
    const { transport } = this.#options;
    return relay(
      this.#dispatcher(),
      {
        origin: this.#url.origin,
        path: this.#url.pathname + this.#url.search,
        method: this.#request.method as 'GET' | 'HEAD',
        headers: this.#requestHeaders(),
        // Pulls begin with a HEAD, after which undici would close the connection unless told not to.
        reset: false,
      },
      this.#response,
      {
        verdict: (status, headers) => this.#verdict(status, headers),
        rewrite: (headers) => this.#rewrite(headers),
        continued: this.#broken,
        readBuffers: transport.readBuffers,
      },
    );
  }

  /** Grants are for the registry's own origin: storage refuses two means of authentication, and must not see ours. */
  #requestHeaders(): Record<string, string | string[]> {
    const headers = this.#broken === undefined ? { ...this.#headers } : resumptionHeaders(this.#headers, this.#broken);
    if (this.#isRelayed) return Object.assign(headers, this.#options.centre?.headers());
    if (this.#hasLeft) return headersForBytes(headers);
    if (this.#grant.kind === 'authorization') headers['authorization'] = this.#grant.value;
    return headers;
  }

  /** Redirects and errors are held: the caller gets what becomes of them. */
  #verdict(status: number, headers: IncomingHttpHeaders): Verdict {
    if (this.#isRelayed && this.#broken === undefined) return status === 401 ? 'hold' : 'relay';
    if (isRedirect(status, headers)) return 'head';
    if (this.#broken !== undefined) return continues(this.#broken, status, headers) ? 'relay' : 'hold';
    // What is no content may be words about the request: those are looked through. 304 has no body.
    return status >= 300 && status !== 304 ? 'hold' : 'relay';
  }

  #rewrite(headers: OutgoingHttpHeaders): void {
    const { route } = this.#options;
    // The centre has done all of this.
    if (this.#isRelayed) return;
    withoutEchoes(headers, this.#grant);
    if (headers['link'] === undefined) return;
    const link = rewriteLink(String(headers['link']), this.#url, route.tail, route.base + route.tail);
    if (link === undefined) delete headers['link'];
    else headers['link'] = link;
  }

  /** What an outcome leads to; true when the caller has been answered. */
  async #settle(outcome: Outcome): Promise<boolean> {
    const { signal } = this.#options;
    if (outcome.kind === 'relayed' || outcome.kind === 'broken') this.#note(outcome.progress);
    if (outcome.kind === 'relayed') {
      this.#response.end();
      return true;
    }
    if (signal.aborted) throw signal.reason;
    if (outcome.kind === 'broken') return this.#resume(outcome.progress, outcome.error);
    return outcome.kind === 'failed' ? this.#afterFailure(outcome.error) : this.#afterHeld(outcome);
  }

  async #afterHeld(answer: Held): Promise<boolean> {
    const { status } = answer;
    if (!this.#hasLeft) this.#options.onAnswer?.(status, answer.headers);
    if (this.#mayRetry(status)) return this.#retry();
    if (this.#isRelayed) throw refusalOfCentre(answer);
    if (isRedirect(status, answer.headers)) return this.#redirect(answer);
    if (!this.#hasLeft && this.#refused.mayAsk(this.#grant, status)) {
      const isOther = await this.#reauthorize(answer);
      if (isOther) return false;
    }
    // The centre sees the registry's own challenge, and may know better than the tokens that it hands out.
    if (status === 401 && !this.#hasLeft && this.#options.centre !== undefined) return this.#takeRelay();
    if (this.#broken !== undefined) throw new Error(`the blob broke off and is not continued: ${status}`);
    if (status === 401 || status === 403) throw this.#denial(answer);
    return this.#passOn(answer);
  }

  get #retriesMax(): number {
    return this.#isRelayed ? relayRetriesMax : retriesMax;
  }

  #mayRetry(status: number): boolean {
    const isTried = this.#isRelayed && this.#broken === undefined;
    return !isTried && isPassing(status) && this.#retries < this.#retriesMax;
  }

  async #afterFailure(error: Error): Promise<boolean> {
    if (this.#retries >= this.#retriesMax || isLasting(error)) throw toProxyError(error, this.#url.host);
    return this.#retry();
  }

  /** The registry's own words, as `404` with what it does not have. */
  #passOn(answer: Held): true {
    const { operation } = this.#options;
    const { headers, body } = passedOn(answer, this.#want, this.#grant);
    operation.status = answer.status;
    operation.reason = whatRegistrySaidTo(this.#grant, body.toString());
    if (this.#request.method === 'HEAD') {
      this.#response.writeHead(answer.status, headers).end();
      return true;
    }
    operation.bytes = body.length;
    this.#response.writeHead(answer.status, { ...headers, 'content-length': body.length }).end(body);
    return true;
  }

  #note(progress: Progress): void {
    const { operation } = this.#options;
    operation.status = progress.status;
    operation.bytes = progress.sent;
    const digest = progress.headers['docker-content-digest'];
    if (typeof digest === 'string') operation.digest = digest;
  }

  /** Once more from the registry on: a redirect that led to a failure may lead elsewhere now. */
  #retry(): Promise<boolean> {
    this.#retries += 1;
    return this.#again();
  }

  async #again(): Promise<boolean> {
    const { random, signal } = this.#options;
    await untilRetry(this.#retries, random, signal);
    this.#take(this.#grant);
    return false;
  }

  async #resume(progress: Progress, error: Error): Promise<boolean> {
    const isNamedByDigest = this.#options.route.endpoint.kind === 'blobs';
    const isHopeless = !isNamedByDigest || progress.sent <= this.#resumedAt || missingRange(progress) === undefined;
    if (isHopeless || this.#resumptions >= resumptionsMax) throw error;
    this.#resumptions += 1;
    this.#resumedAt = progress.sent;
    this.#broken = progress;
    // Much time may have gone by since the grant was made, and each attempt that brought bytes is worth a retry.
    this.#refused.clear();
    this.#retries = 0;
    return this.#again();
  }

  /** Whether there is another grant than the one that was refused. */
  async #reauthorize({ status, headers }: Held): Promise<boolean> {
    const refused = { grant: this.#grant, challenge: headers['www-authenticate'], isForbidden: status !== 401 };
    const renewed = await this.#options.grants.grant({ ...this.#want, refused }, this.#options.signal);
    if (isSameGrant(renewed, this.#grant)) return false;
    this.#take(renewed);
    return true;
  }

  #takeRelay(): false {
    this.#take({ kind: 'relay' });
    return false;
  }

  #denial(answer: Held): ProxyError {
    if (!this.#hasLeft) return denial(answer, this.#want, this.#grant, this.#url.host);
    return new ProxyError('UPSTREAM_PROTOCOL', `the blob storage ${this.#url.host} refused with ${answer.status}`);
  }

  /** Blob storage on another host is the caller's to fetch from, so that the bytes bypass us; the rest we follow. */
  async #redirect(answer: Held): Promise<boolean> {
    const { connector, route, transport, operation } = this.#options;
    const from = { transport, start: this.#start, url: this.#url, want: this.#want, grant: this.#grant };
    const url = await redirectTarget(String(answer.headers.location), from);
    const isElsewhere = url.origin !== this.#start.origin;
    // Who comes by the forward proxy would come by it to the storage as well, and it would not be let through.
    const mayHandOver = connector.redirect === 'handover' && !route.isIntercepted;
    const isHandedOver = route.endpoint.kind === 'blobs' && isElsewhere && mayHandOver;
    // A body that is being continued can no longer be handed over: its head is with the caller.
    if (isHandedOver && this.#broken === undefined) {
      const digest = answer.headers['docker-content-digest'];
      operation.status = answer.status;
      operation.handedTo = url.host;
      const headers = { location: url.href, 'content-length': '0', ...(digest && { 'docker-content-digest': digest }) };
      this.#response.writeHead(answer.status, headers).end();
      return true;
    }
    this.#redirects += 1;
    if (this.#redirects > redirectsMax) {
      throw new ProxyError(
        'UPSTREAM_PROTOCOL',
        `the registry sent us on more than ${redirectsMax} times, last to ${url.host}`,
      );
    }
    this.#url = url;
    this.#hasLeft ||= isElsewhere;
    return false;
  }
}
