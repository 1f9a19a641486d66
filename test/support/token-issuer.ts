import { randomBytes } from 'node:crypto';
import { type HttpAnswer, jsonAnswer, ociError } from './registry/answer.ts';
import { type CredentialBox, parseBasic } from './registry/credential.ts';
import { type Clock, type Exchange, readBody } from './registry/exchange.ts';
import type { Access, Mutable, TokenRequest } from './registry/request-log.ts';

/** What a token is issued for. */
export interface TokenGrant {
  /** Undefined for the anonymous. */
  readonly username: string | undefined;
  readonly access: readonly Access[];
  readonly service: string | undefined;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** The ways in which token endpoints differ. */
export interface TokenIssuerOptions {
  /** Whether nobody gets tokens for `pull`, by default not. */
  readonly anonymousPull?: boolean;
  /** Accepted as `refresh_token`, and handed out as one to who asks for offline access. */
  readonly identityToken?: string;
  /** Which field holds the token. By default `token` for GET and, as OAuth2 has it, `access_token` for POST. */
  readonly tokenField?: 'token' | 'access_token' | 'both';
  /** `expires_in`; absent: not sent, and the token lives 60 seconds, as the specification says. */
  readonly expiresInSeconds?: number;
  /** `issued_at`: the time of issue, or this text; absent: not sent. */
  readonly issuedAt?: 'now' | (string & {});
  /** Accepted methods, by default GET and POST. */
  readonly methods?: readonly ('GET' | 'POST')[];
  /** What the other methods are answered, by default 405. */
  readonly refusedMethodStatus?: number;
  /** `first`: only the first scope of a request is honoured. By default all. */
  readonly scopesHonoured?: 'all' | 'first';
  /** A JWT (its signature is noise) with `access`, `aud`, `exp`, `iat`, `sub`. By default opaque. */
  readonly jwt?: boolean;
  /** Makes the token's text, instead of `jwt`: one that holds the password, for example. */
  readonly makeToken?: (grant: TokenGrant) => string;
  /**
   * What is granted of what is asked, less or more. By default a user gets all of it and the anonymous get `pull`.
   */
  readonly grantAccess?: (asked: readonly Access[], username: string | undefined) => readonly Access[];
}

interface TokenParameters {
  readonly scopes: readonly string[];
  readonly service: string | undefined;
  readonly isOffline: boolean;
  /** `refused` when a credential was sent that is not the right one. */
  readonly caller: { readonly username: string | undefined } | 'refused';
}

const defaultLifetimeSeconds = 60;

/** A token endpoint (distribution, «Token Authentication» and «OAuth2») and the memory of what it issued. */
export class TokenIssuer {
  readonly #options: TokenIssuerOptions;
  readonly #credential: CredentialBox;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #grants = new Map<string, TokenGrant>();

  constructor(options: TokenIssuerOptions, credential: CredentialBox, clock: Pick<Clock, 'now'>) {
    this.#options = options;
    this.#credential = credential;
    this.#clock = clock;
  }

  /** What a token allows, or undefined when it is unknown, revoked or expired. */
  verify(token: string): TokenGrant | undefined {
    const grant = this.#grants.get(token);
    return grant !== undefined && grant.expiresAt > this.#clock.now() ? grant : undefined;
  }

  /** A token for these scopes, without asking for a credential. */
  issue(scopes: readonly string[], username?: string, service?: string): string {
    const now = this.#clock.now();
    const lifetimeSeconds = this.#options.expiresInSeconds ?? defaultLifetimeSeconds;
    const grant: TokenGrant = {
      username,
      access: this.#accessFor(scopes, username),
      service,
      issuedAt: now,
      expiresAt: now + lifetimeSeconds * 1000,
    };
    const makeToken = this.#options.makeToken ?? (this.#options.jwt === true ? makeJwt : makeOpaqueToken);
    const token = makeToken(grant);
    this.#grants.set(token, grant);
    return token;
  }

  revokeAll(): void {
    this.#grants.clear();
  }

  /** The endpoint itself. */
  async answer(exchange: Exchange): Promise<HttpAnswer> {
    const { methods = ['GET', 'POST'], refusedMethodStatus = 405, anonymousPull = false } = this.#options;
    if (!methods.some((method) => method === exchange.method)) {
      return ociError(refusedMethodStatus, 'UNSUPPORTED', `${exchange.method} is not supported here`);
    }
    const { scopes, service, isOffline, caller } = await this.#parse(exchange);
    if (caller === 'refused' || (caller.username === undefined && !anonymousPull)) {
      return ociError(401, 'UNAUTHORIZED', 'incorrect username or password');
    }
    const honoured = this.#options.scopesHonoured === 'first' ? scopes.slice(0, 1) : scopes;
    return jsonAnswer(200, this.#describe(this.issue(honoured, caller.username, service), exchange.method, isOffline));
  }

  async #parse(exchange: Exchange): Promise<TokenParameters> {
    if (exchange.method === 'POST') return this.#parseForm(exchange);
    const query = exchange.url.searchParams;
    return {
      scopes: query.getAll('scope'),
      service: query.get('service') ?? undefined,
      isOffline: query.get('offline_token') === 'true',
      caller: this.#identifyBasic(exchange.headers.authorization),
    };
  }

  async #parseForm(exchange: Exchange): Promise<TokenParameters> {
    const form = new URLSearchParams((await readBody(exchange)).toString());
    (exchange.record as Mutable<TokenRequest>).form = form;
    return {
      scopes: form.get('scope')?.split(' ') ?? [],
      service: form.get('service') ?? undefined,
      isOffline: form.get('access_type') === 'offline',
      caller: this.#identifyForm(form),
    };
  }

  #identifyBasic(authorization: string | undefined): TokenParameters['caller'] {
    if (authorization === undefined) return { username: undefined };
    const basic = parseBasic(authorization);
    return this.#credential.accepts(basic) ? { username: basic?.username } : 'refused';
  }

  #identifyForm(form: URLSearchParams): TokenParameters['caller'] {
    if (form.get('grant_type') === 'refresh_token') {
      const isRight = form.get('refresh_token') === this.#options.identityToken;
      return isRight ? { username: this.#credential.current?.username ?? 'identity' } : 'refused';
    }
    const candidate = { username: form.get('username') ?? '', password: form.get('password') ?? '' };
    const isRight = form.get('grant_type') === 'password' && this.#credential.accepts(candidate);
    return isRight ? { username: candidate.username } : 'refused';
  }

  #accessFor(scopes: readonly string[], username: string | undefined): readonly Access[] {
    const asked = scopes.flatMap((scope) => parseScope(scope) ?? []);
    if (this.#options.grantAccess !== undefined) return this.#options.grantAccess(asked, username);
    if (username !== undefined) return asked;
    return asked.map((access) => ({ ...access, actions: access.actions.filter((action) => action === 'pull') }));
  }

  #describe(token: string, method: string, isOffline: boolean): Record<string, unknown> {
    const { expiresInSeconds, issuedAt, identityToken } = this.#options;
    const tokenField = this.#options.tokenField ?? (method === 'POST' ? 'access_token' : 'token');
    const now = new Date(this.#clock.now()).toISOString();
    return {
      ...(tokenField === 'access_token' ? {} : { token }),
      ...(tokenField === 'token' ? {} : { access_token: token }),
      ...(expiresInSeconds === undefined ? {} : { expires_in: expiresInSeconds }),
      ...(issuedAt === undefined ? {} : { issued_at: issuedAt === 'now' ? now : issuedAt }),
      ...(isOffline && identityToken !== undefined ? { refresh_token: identityToken } : {}),
    };
  }
}

/** Reads `type:name:action,action`; the name may hold colons. */
function parseScope(scope: string): Access | undefined {
  const [, type, name, actions] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? [];
  if (type === undefined || name === undefined || actions === undefined) return undefined;
  return { type, name, actions: actions.split(',').filter((action) => action !== '') };
}

function makeOpaqueToken(): string {
  return randomBytes(24).toString('base64url');
}

function makeJwt({ username, access, service, issuedAt, expiresAt }: TokenGrant): string {
  const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000);
  const claims = {
    iss: 'test-token-issuer',
    sub: username ?? '',
    aud: service ?? '',
    iat: seconds(issuedAt),
    nbf: seconds(issuedAt),
    exp: seconds(expiresAt),
    jti: makeOpaqueToken(),
    access,
  };
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ typ: 'JWT', alg: 'RS256' })}.${encode(claims)}.${makeOpaqueToken()}`;
}
