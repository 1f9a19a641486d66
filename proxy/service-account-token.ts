import { tokenMax } from '../connectors/pull-identity.ts';
import { readJwt } from '../platform/jwt.ts';

/** What a token says of itself; nothing of it is believed before the API server has looked at it. */
export interface TokenClaims {
  readonly audiences: readonly string[];
  readonly subject: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Reads the claims of a JWT without verifying it; undefined for what cannot be a token of a cluster. */
export function readClaims(token: string): TokenClaims | undefined {
  if (token.length > tokenMax) return undefined;
  const { aud, exp, sub } = readJwt(token)?.claims ?? {};
  const audiences: unknown = typeof aud === 'string' ? [aud] : aud;
  // 1e999 is a number, too.
  if (!Array.isArray(audiences) || typeof exp !== 'number' || !Number.isFinite(exp)) return undefined;
  return {
    audiences: audiences.filter((audience) => typeof audience === 'string'),
    subject: typeof sub === 'string' ? sub : undefined,
    expiresAt: exp * 1000,
  };
}
