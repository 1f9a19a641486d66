import type { TokenIssuer } from '../token-issuer.ts';
import { type HttpAnswer, ociError } from './answer.ts';
import { type CredentialBox, parseBasic, parseBearer } from './credential.ts';
import type { Exchange } from './exchange.ts';
import type { Access } from './request-log.ts';

/** Decides who is let in. */
export interface Gate {
  /** The refusal for a request that needs `needed`, or undefined when it is let in. */
  refuse(exchange: Exchange, needed: readonly Access[]): HttpAnswer | undefined;
  /** The access in the request's bearer token, when there is a valid one. */
  tokenAccess?(exchange: Exchange): readonly Access[] | undefined;
}

export const openGate: Gate = { refuse: () => undefined };

/** `challengeHeader` replaces the whole WWW-Authenticate value; several make several header lines. */
export function basicGate(credential: CredentialBox, challengeHeader?: string | readonly string[]): Gate {
  return {
    refuse: ({ headers }) =>
      credential.accepts(parseBasic(headers.authorization))
        ? undefined
        : unauthorized(challengeHeader ?? 'Basic realm="test registry"', []),
  };
}

/** The parts of a Bearer challenge; undefined leaves a part out. */
export interface Challenge {
  readonly realm: string;
  readonly service: string | undefined;
  readonly scope: string | undefined;
  readonly error: string | undefined;
}

export interface BearerGateOptions {
  /** The URL of the token endpoint. */
  readonly realm: (origin: string) => string;
  /** By default `test-registry`; null leaves it out of the challenge. */
  readonly service?: string | null;
  /** In place of the scope in every challenge: `''`, `*`, …; null leaves it out. */
  readonly scope?: string | null;
  /** Replaces the whole WWW-Authenticate value; several make several header lines. */
  readonly challengeHeader?: string | readonly string[] | ((challenge: Challenge) => string | readonly string[]);
  /** How a valid token with too few rights is answered, by default 401 with `insufficient_scope`. */
  readonly lackingRightStatus?: 401 | 403 | 404;
}

/** Lets in who brings a token that was issued for the needed access. */
export function bearerGate(issuer: TokenIssuer, options: BearerGateOptions): Gate {
  const grantOf = ({ headers }: Exchange) => issuer.verify(parseBearer(headers.authorization) ?? '');
  return {
    tokenAccess: (exchange) => grantOf(exchange)?.access,
    refuse(exchange, needed) {
      const grant = grantOf(exchange);
      if (grant !== undefined && needed.every((access) => covers(grant.access, access))) return undefined;
      const { lackingRightStatus = 401 } = options;
      if (grant !== undefined && lackingRightStatus !== 401) return lackingRight(lackingRightStatus, needed);
      return unauthorized(
        challengeLines(challengeFor(exchange, needed, grant !== undefined, options), options),
        needed,
      );
    },
  };
}

function challengeFor(
  exchange: Exchange,
  needed: readonly Access[],
  isTokenValid: boolean,
  options: BearerGateOptions,
): Challenge {
  const scopes = needed.map(({ type, name, actions }) => `${type}:${name}:${actions}`);
  const neededScope = scopes.length === 0 ? undefined : scopes.join(' ');
  const brokenToken = parseBearer(exchange.headers.authorization) === undefined ? undefined : 'invalid_token';
  return {
    realm: options.realm(exchange.url.origin),
    service: options.service === null ? undefined : (options.service ?? 'test-registry'),
    scope: options.scope === null ? undefined : (options.scope ?? neededScope),
    error: isTokenValid ? 'insufficient_scope' : brokenToken,
  };
}

function challengeLines(challenge: Challenge, { challengeHeader }: BearerGateOptions): string | readonly string[] {
  if (typeof challengeHeader === 'function') return challengeHeader(challenge);
  return challengeHeader ?? formatChallenge(challenge);
}

/** `Bearer realm="…",service="…",scope="…",error="…"` with the parts that there are. */
function formatChallenge(challenge: Challenge): string {
  const { realm, service, scope, error } = challenge;
  const parts = Object.entries({ realm, service, scope, error }).filter(([, value]) => value !== undefined);
  return `Bearer ${parts.map(([name, value]) => `${name}="${value}"`).join(',')}`;
}

function covers(granted: readonly Access[], { type, name, actions }: Access): boolean {
  const rights = granted.filter((access) => access.type === type && access.name === name);
  const allowed = new Set(rights.flatMap((access) => access.actions));
  return allowed.has('*') || actions.every((action) => allowed.has(action));
}

function unauthorized(challenge: string | readonly string[], needed: readonly Access[]): HttpAnswer {
  const detail = needed.map(({ type, name, actions }) => ({ Type: type, Name: name, Action: actions.join(',') }));
  return ociError(401, 'UNAUTHORIZED', 'authentication required', {
    headers: { 'www-authenticate': challenge },
    ...(detail.length === 0 ? {} : { detail }),
  });
}

function lackingRight(status: 403 | 404, needed: readonly Access[]): HttpAnswer {
  const name = needed[0]?.name ?? '';
  return status === 403
    ? ociError(403, 'DENIED', `requested access to ${name} is denied`)
    : ociError(404, 'NAME_UNKNOWN', `repository ${name} not known to registry`);
}
