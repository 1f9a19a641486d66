import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { type Exchange, type ServiceAnswer, serviceError } from './service.ts';

export const tokenPath = '/20180419/docker/token';

export interface OracleRegistryOptions {
  readonly now: () => number;
  /** Whose signature a request has; undefined for nobody's. */
  readonly identify: (exchange: Exchange) => string | undefined;
  /** `http://host:port` of a registry that asks for no credential, which stands behind this one. */
  readonly behind?: string | undefined;
}

/** OCIR: the token endpoint, and before a registry of the tests what decides who may pull. */
export class OracleRegistry {
  readonly #options: OracleRegistryOptions;
  readonly #tokens = new Map<string, number>();
  readonly #users = new Map<string, string>();
  readonly #denied = new Set<string>();
  /** Of the tokens from now on. */
  lifeSeconds = 3600;
  tokenField: 'token' | 'access_token' = 'token';
  /** Fields beside or instead of those of the answer. */
  extraFields: Readonly<Record<string, unknown>> = {};
  makeToken: () => string = () => randomBytes(24).toString('base64url');

  constructor(options: OracleRegistryOptions) {
    this.#options = options;
  }

  get issued(): readonly string[] {
    return [...this.#tokens.keys()];
  }

  isValidToken(token: string): boolean {
    return (this.#tokens.get(token) ?? 0) > this.#options.now();
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  /** Another user of the registry, with an auth token. */
  addUser(username: string, password: string): void {
    this.#users.set(username, password);
  }

  /** Policy denies this repository to everybody; tokens are issued all the same. */
  deny(repository: string): void {
    this.#denied.add(repository);
  }

  answer(exchange: Exchange): ServiceAnswer | undefined {
    const { request, authority } = exchange;
    const path = request.url ?? '';
    if (path.split('?')[0] === tokenPath) return this.#answerToken(exchange);
    if (path !== '/v2' && !path.startsWith('/v2/')) return serviceError(404, 'NotFound');
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer === undefined || !this.isValidToken(bearer)) return challenge(authority);
    const repository = /^\/v2\/(.+?)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
    if (repository !== undefined && this.#denied.has(repository)) {
      return {
        status: 403,
        body: { errors: [{ code: 'DENIED', message: 'Anonymous users are only allowed read access on public repos' }] },
      };
    }
    if (this.#options.behind === undefined)
      return path.replace(/\/$/, '') === '/v2' ? { status: 200, body: {} } : serviceError(404, 'NotFound');
    this.#forward(exchange, this.#options.behind);
    return undefined;
  }

  #answerToken(exchange: Exchange): ServiceAnswer {
    const authorization = exchange.request.headers.authorization ?? '';
    const isKnown = authorization.startsWith('Basic ')
      ? this.#isUser(Buffer.from(authorization.slice(6), 'base64').toString())
      : this.#options.identify(exchange) !== undefined;
    if (!isKnown) return serviceError(401, 'NotAuthenticated');
    const token = this.makeToken();
    this.#tokens.set(token, this.#options.now() + this.lifeSeconds * 1000);
    const body = { [this.tokenField]: token, scope: '', expires_in: this.lifeSeconds, ...this.extraFields };
    return { status: 200, body };
  }

  #isUser(pair: string): boolean {
    const at = pair.indexOf(':');
    const [username, password] = [pair.slice(0, at), pair.slice(at + 1)];
    return username === 'BEARER_TOKEN' ? this.isValidToken(password) : this.#users.get(username) === password;
  }

  #forward({ request, response, body }: Exchange, behind: string): void {
    const { authorization: _, ...headers } = request.headers;
    const passed = httpRequest(new URL(request.url ?? '', behind), { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    if (body !== '') passed.end(body);
    else request.pipe(passed);
  }
}

const challenge = (authority: string): ServiceAnswer => ({
  status: 401,
  body: { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
  headers: { 'www-authenticate': `Bearer realm="http://${authority}${tokenPath}",service="${authority}",scope=""` },
});
