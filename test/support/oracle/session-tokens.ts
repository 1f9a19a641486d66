import { createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';

/** The cloud's own notion of session tokens: JWTs that it signs and that are bound to the session's public key. */
export interface SessionTokens {
  /** Without `ST$`. */
  issue(publicKey: KeyObject, claims: Readonly<Record<string, unknown>>, lifeMs?: number): string;
  /** The key that requests have to be signed with; undefined for tokens that are not ours, have expired or are revoked. */
  keyOf(token: string): KeyObject | undefined;
  revokeAll(): void;
  /** All that were issued, for canaries. */
  readonly issued: readonly string[];
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** @param own the key pair that the cloud signs with */
export function makeSessionTokens(own: KeyPair, now: () => number, lifeMs: () => number): SessionTokens {
  const issued: string[] = [];
  const revoked = new Set<string>();
  return {
    issued,
    issue: (publicKey, claims, ownLifeMs = lifeMs()) => {
      const seconds = Math.floor(now() / 1000);
      const jwk = JSON.stringify(publicKey.export({ format: 'jwk' }));
      const times = { iat: seconds, exp: Math.floor((now() + ownLifeMs) / 1000), jti: randomUUID() };
      const unsigned = `${encode({ alg: 'RS256', kid: 'asw' })}.${encode({ ...claims, ...times, jwk })}`;
      const token = `${unsigned}.${sign('sha256', Buffer.from(unsigned), own.privateKey).toString('base64url')}`;
      issued.push(token);
      return token;
    },
    keyOf: (token) => {
      const [head = '', claims = '', signature = ''] = token.split('.');
      const isOurs = verify(
        'sha256',
        Buffer.from(`${head}.${claims}`),
        own.publicKey,
        Buffer.from(signature, 'base64url'),
      );
      if (!isOurs || !issued.includes(token) || revoked.has(token)) return undefined;
      const { exp, jwk } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp: number; jwk: string };
      if (exp * 1000 <= now()) return undefined;
      return createPublicKey({ key: JSON.parse(jwk), format: 'jwk' });
    },
    revokeAll: () => {
      for (const token of issued) revoked.add(token);
    },
  };
}
