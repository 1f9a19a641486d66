import { FaultPlan, type FaultRule } from './faults.ts';
import type { OciContent } from './image.ts';
import { type ApiOptions, RegistryApi } from './registry/api.ts';
import { memoryBlob, syntheticBlob } from './registry/blob.ts';
import { CredentialBox } from './registry/credential.ts';
import { type Exchange, systemClock } from './registry/exchange.ts';
import { type BearerGateOptions, basicGate, bearerGate, type Gate, openGate } from './registry/gate.ts';
import { type RecordedRequest, RequestLog, type TokenRequest } from './registry/request-log.ts';
import { type ListenOptions, type RunningServer, startServer } from './registry/server.ts';
import { Store } from './registry/store.ts';
import { TokenIssuer, type TokenIssuerOptions } from './token-issuer.ts';

export type { Access, RecordedRequest, TokenRequest } from './registry/request-log.ts';

export interface BasicAuth {
  readonly kind: 'basic';
  readonly username: string;
  readonly password: string;
  /** Replaces the whole WWW-Authenticate value; several make several header lines. */
  readonly challengeHeader?: string | readonly string[];
}

/** Token authentication. Without a username and password, no credential is the right one. */
export interface TokenAuth extends TokenIssuerOptions, Omit<BearerGateOptions, 'realm'> {
  readonly kind: 'token';
  readonly username?: string;
  readonly password?: string;
  /** The realm in challenges, from the URL of the token endpoint there is. By default that URL. */
  readonly realm?: string | ((tokenUrl: string) => string);
  /** `own-port`: the token endpoint listens on a port of its own, so that the realm is another origin. */
  readonly tokenEndpoint?: 'same-origin' | 'own-port';
}

export type RegistryAuth = { readonly kind: 'none' } | BasicAuth | TokenAuth;

export interface RegistryOptions extends ListenOptions, ApiOptions {
  /** By default none. */
  readonly auth?: RegistryAuth;
  readonly faults?: readonly FaultRule[];
}

/** An OCI registry in this process. */
export interface Registry extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** `127.0.0.1:port` */
  readonly authority: string;
  /** Every request but those to the token endpoint, in the order of arrival. */
  readonly requests: readonly RecordedRequest[];
  readonly tokenRequests: readonly TokenRequest[];
  /** Which requests go wrong, and how; also those to the token endpoint. */
  readonly faults: FaultPlan;
  /** Resolves with the `count`th request (by default the first) that matches, as soon as it has arrived. */
  arrival(matches: (request: RecordedRequest) => boolean, count?: number): Promise<RecordedRequest>;
  /** The same for requests to the token endpoint. */
  tokenArrival(matches: (request: TokenRequest) => boolean, count?: number): Promise<TokenRequest>;
  /** Puts an image, index or artifact in, under `tags`; returns it. */
  seed<T extends OciContent>(repository: string, content: T, tags?: readonly string[]): T;
  /** Puts a blob of `sizeBytes` in that is never held in memory; returns its digest. */
  seedSyntheticBlob(repository: string, sizeBytes: number, seed?: string): Promise<string>;
  /** The digests in a repository, also those that were pushed. */
  contents(repository: string): { tags: Record<string, string>; manifests: string[]; blobs: string[] };
  /** From now on this credential is the right one. Tokens already issued stay valid. */
  setCredential(username: string, password: string): void;
  /** A token for these scopes, as the token endpoint gives it to `username`. */
  issueToken(scopes: readonly string[], username?: string): string;
  /** Makes every token that was issued so far invalid. */
  revokeTokens(): void;
  /** Ends every connection and answer at once; nothing goes on afterwards. */
  close(): Promise<void>;
}

const tokenPath = '/token';

/** Starts a registry, by default on a free port of 127.0.0.1. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const auth = options.auth ?? { kind: 'none' };
  const store = new Store();
  const faults = new FaultPlan(options.faults);
  const credential = new CredentialBox(credentialOf(auth));
  const issuer = new TokenIssuer(auth.kind === 'token' ? auth : {}, credential, options.clock ?? systemClock);
  const tokenLog = new RequestLog<TokenRequest>();
  const log = new RequestLog<RecordedRequest>();
  const tokenEndpoint = {
    faults,
    receive: (exchange: Exchange) => tokenLog.add(tokenRequestOf(exchange)),
    isAuthorized: () => true,
    answer: (exchange: Exchange) => issuer.answer(exchange),
  };
  const hasOwnPort = auth.kind === 'token' && auth.tokenEndpoint === 'own-port';
  const tokenServer = hasOwnPort ? await startServer({ ...options, port: 0 }, tokenEndpoint) : undefined;
  const gate = makeGate(auth, credential, issuer, tokenServer);
  const api = new RegistryApi(store, gate, options);
  const isForToken = ({ url }: Exchange) => auth.kind === 'token' && !hasOwnPort && url.pathname === tokenPath;
  const server = await startServer(options, {
    faults,
    receive(exchange) {
      if (isForToken(exchange)) tokenEndpoint.receive(exchange);
      else log.add(api.describe(exchange));
    },
    isAuthorized: (exchange) => isForToken(exchange) || api.refuse(exchange) === undefined,
    answer: (exchange) => (isForToken(exchange) ? issuer.answer(exchange) : api.answer(exchange)),
  });
  const close = async () => {
    await Promise.all([server.close(), tokenServer?.close()]);
  };
  return {
    origin: server.origin,
    authority: server.authority,
    requests: log.entries,
    tokenRequests: tokenLog.entries,
    faults,
    arrival: (matches, count) => log.arrival(matches, count),
    tokenArrival: (matches, count) => tokenLog.arrival(matches, count),
    ...seeding(store),
    setCredential(username, password) {
      credential.current = { username, password };
    },
    issueToken: (scopes, username = credential.current?.username) => issuer.issue(scopes, username),
    revokeTokens: () => issuer.revokeAll(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function seeding(store: Store): Pick<Registry, 'seed' | 'seedSyntheticBlob' | 'contents'> {
  return {
    seed(name, content, tags = []) {
      const { blobs, manifests, tags: tagged } = store.open(name);
      for (const [digest, bytes] of content.blobs) blobs.set(digest, memoryBlob(bytes, digest));
      for (const [digest, manifest] of content.manifests) manifests.set(digest, manifest);
      for (const tag of tags) tagged.set(tag, content.digest);
      return content;
    },
    async seedSyntheticBlob(name, sizeBytes, seed) {
      const blob = await syntheticBlob(sizeBytes, seed);
      store.open(name).blobs.set(blob.digest, blob);
      return blob.digest;
    },
    contents(name) {
      const { tags, manifests, blobs } = store.open(name);
      return { tags: Object.fromEntries(tags), manifests: [...manifests.keys()], blobs: [...blobs.keys()] };
    },
  };
}

function credentialOf(auth: RegistryAuth) {
  if (auth.kind === 'none' || auth.username === undefined || auth.password === undefined) return undefined;
  return { username: auth.username, password: auth.password };
}

function makeGate(
  auth: RegistryAuth,
  credential: CredentialBox,
  issuer: TokenIssuer,
  tokenServer: RunningServer | undefined,
): Gate {
  if (auth.kind === 'none') return openGate;
  if (auth.kind === 'basic') return basicGate(credential, auth.challengeHeader);
  const { realm = (tokenUrl: string) => tokenUrl } = auth;
  const realmAt = (origin: string) => {
    const tokenUrl = `${tokenServer?.origin ?? origin}${tokenPath}`;
    return typeof realm === 'function' ? realm(tokenUrl) : realm;
  };
  return bearerGate(issuer, { ...auth, realm: realmAt });
}

function tokenRequestOf(exchange: Exchange): TokenRequest {
  const { url, headers } = exchange;
  const fields = { query: url.searchParams, form: undefined, authorization: headers.authorization };
  return Object.assign(exchange.record, fields);
}
