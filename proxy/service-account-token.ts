/** What a token says of itself; nothing of it is believed before the API server has looked at it. */
export interface TokenClaims {
  readonly audiences: readonly string[];
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Tokens of service accounts have about 1 KiB; group-laden ones of other issuers some more. */
const lengthMax = 16_384;
const shape = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** Reads the claims of a JWT without verifying it; undefined for what cannot be a token of a cluster. */
export function readClaims(token: string): TokenClaims | undefined {
  if (token.length > lengthMax) return undefined;
  const [, payload] = shape.exec(token) ?? [];
  if (payload === undefined) return undefined;
  try {
    const { aud, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) ?? {};
    const audiences = typeof aud === 'string' ? [aud] : aud;
    if (!Array.isArray(audiences) || !Number.isFinite(exp)) return undefined;
    return { audiences: audiences.filter((audience) => typeof audience === 'string'), expiresAt: exp * 1000 };
  } catch {
    return undefined;
  }
}
