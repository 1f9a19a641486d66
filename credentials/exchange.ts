import { ProxyError } from '../platform/errors.ts';
import { type JsonObject, parseJsonObject } from '../platform/json.ts';
import { toProxyError } from '../platform/network-error.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Answer, ask, headerOf, retryAfterOf } from './ask.ts';
import type { Challenge } from './challenge.ts';
import { basicAuthorization, type Credential, redact } from './credential.ts';
import type { Action } from './grant.ts';
import { whatRegistrySaid } from './registry-errors.ts';
import { tokenIn } from './token-answer.ts';

/** The distribution token specification's default, where the answer names no `expires_in`. */
const defaultLifeMs = 60_000;
/** A token that says it lives longer is asked for again after this, so that a withdrawn right does not live on. */
const longestLifeMs = 3_600_000;
const redirectsMax = 3;
const clientId = 'oci-connector';

/** What a Bearer challenge asks a token for. */
export interface TokenRequest {
  readonly realm: string;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
}

/** What to ask the token server of a Bearer challenge. */
export const tokenRequest = (
  { params }: Challenge,
  scopes: readonly string[],
  credential: Credential | undefined,
): TokenRequest => ({
  realm: params.get('realm') ?? '',
  service: params.get('service') || undefined,
  scopes,
  credential,
});

/** A scope of the token specification. */
export const scopeOf = (repository: string, actions: readonly Action[]): string =>
  `repository:${repository}:${actions.join(',')}`;

export interface RegistryToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Statuses by which token servers say «not with this method»: ACR 400, Artifactory 401, GCR 404, others 405. */
const postRefused: ReadonlySet<number> = new Set([400, 401, 404, 405]);
const getRefused: ReadonlySet<number> = new Set([404, 405]);

/**
 * Exchanges a credential, or none, for a registry token (distribution spec, «Token Authentication» and «OAuth2 Token
 * Authentication»). A password goes by GET, which every server knows, and by POST where GET is refused; an identity
 * token by POST, and by GET as a password where POST is refused.
 * @throws ProxyError
 */
export async function exchangeToken(
  transport: RegistryTransport,
  request: TokenRequest,
  now: () => number,
  signal: AbortSignal,
): Promise<RegistryToken> {
  try {
    const realm = await transport.target(request.realm);
    const startedAt = now();
    const answer = await askForToken(transport, realm, request, signal);
    if (answer.status !== 200) throw refusal(answer, realm, request);
    return readToken(answer, realm, startedAt);
  } catch (error) {
    signal.throwIfAborted();
    throw withoutCredential(toProxyError(error, new URL(transport.origin).host), request.credential);
  }
}

/** A server that knows the credential could send us to a host of that name, and messages name hosts. */
function withoutCredential(error: Error, credential: Credential | undefined): Error {
  const message = redact(error.message, credential);
  if (!(error instanceof ProxyError) || message === error.message) return error;
  return new ProxyError(error.code, message, { headers: error.headers });
}

async function askForToken(
  transport: RegistryTransport,
  realm: URL,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<Answer> {
  const { credential } = request;
  if (credential?.kind === 'identityToken') {
    const posted = await askByPost(transport, realm, request, credential, signal);
    return postRefused.has(posted.status) ? askByGet(transport, realm, request, signal) : posted;
  }
  const got = await askByGet(transport, realm, request, signal);
  if (credential === undefined || !getRefused.has(got.status)) return got;
  return askByPost(transport, realm, request, credential, signal);
}

async function askByGet(
  transport: RegistryTransport,
  realm: URL,
  request: TokenRequest,
  signal: AbortSignal,
): Promise<Answer> {
  let url = new URL(realm);
  let isAtRealm = true;
  if (request.service !== undefined) url.searchParams.set('service', request.service);
  for (const scope of request.scopes) url.searchParams.append('scope', scope);
  if (request.credential !== undefined) url.searchParams.set('account', request.credential.username);
  for (let redirects = 0; ; redirects += 1) {
    // Basic is for the realm that the registry named; a redirect to another host or scheme must not carry it on, and
    // none from there must bring it back.
    isAtRealm &&= url.origin === realm.origin;
    const headers =
      isAtRealm && request.credential ? { authorization: basicAuthorization(request.credential) } : undefined;
    const answer = await ask(transport, { method: 'GET', url, ...(headers && { headers }) }, signal);
    const location = answer.status >= 300 && answer.status < 400 ? headerOf(answer, 'location') : undefined;
    if (location === undefined || redirects === redirectsMax) return answer;
    url = await transport.target(location, url.href);
  }
}

function askByPost(
  transport: RegistryTransport,
  url: URL,
  request: TokenRequest,
  credential: Credential,
  signal: AbortSignal,
): Promise<Answer> {
  const form = new URLSearchParams({ client_id: clientId, scope: request.scopes.join(' ') });
  if (request.service !== undefined) form.set('service', request.service);
  if (credential.kind === 'identityToken') {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', credential.token);
  } else {
    form.set('grant_type', 'password');
    form.set('username', credential.username);
    form.set('password', credential.password);
  }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return ask(transport, { method: 'POST', url, headers, body: form.toString() }, signal);
}

function refusal(answer: Answer, realm: URL, request: TokenRequest): ProxyError {
  const said = whatRegistrySaid(answer.text, request.credential);
  const suffix = said === '' ? '' : ` (${said})`;
  const headers = retryAfterOf(answer);
  if (answer.status === 429) {
    const message = `the token server ${realm.host} limits our requests${suffix}`;
    return new ProxyError('UPSTREAM_LIMITED', message, { headers });
  }
  if (answer.status >= 500) {
    const message = `the token server ${realm.host} answered ${answer.status}${suffix}`;
    return new ProxyError('UPSTREAM_UNREACHABLE', message, { headers });
  }
  if (answer.status >= 400) {
    const who = request.credential === undefined ? 'a caller without credential' : 'the credential';
    return new ProxyError(
      'CREDENTIAL_REFUSED',
      `the token server ${realm.host} refused ${who} with ${answer.status}${suffix}`,
    );
  }
  return new ProxyError(
    'UPSTREAM_PROTOCOL',
    `the token server ${realm.host} answered ${answer.status} instead of a token`,
  );
}

function readToken(answer: Answer, realm: URL, startedAt: number): RegistryToken {
  const body = parseJsonObject(answer.text) ?? {};
  const token = tokenIn(body);
  if (token === undefined) {
    throw new ProxyError('UPSTREAM_PROTOCOL', `the token server ${realm.host} answered 200 without a token`);
  }
  return { token, expiresAt: expiryOf(body, startedAt) };
}

/**
 * `issued_at` plus `expires_in`. Counted from our request where `issued_at` is missing, lies after it, or would make a
 * token that has just been issued an expired one: then the server's clock is not ours.
 */
function expiryOf(body: JsonObject, startedAt: number): number {
  const seconds = Number(body['expires_in']);
  const isStated = body['expires_in'] !== undefined && Number.isFinite(seconds) && seconds > 0;
  const lifeMs = Math.min(isStated ? seconds * 1000 : defaultLifeMs, longestLifeMs);
  const issuedAt = typeof body['issued_at'] === 'string' ? Date.parse(body['issued_at']) : Number.NaN;
  const isPlausible = issuedAt <= startedAt && issuedAt + lifeMs > startedAt;
  return (isPlausible ? issuedAt : startedAt) + lifeMs;
}
