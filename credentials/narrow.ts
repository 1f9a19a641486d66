import { type Credential, reveals } from './credential.ts';
import type { Grant, GrantWant } from './grant.ts';

/** What leaves the centre cannot be called back before it expires. */
const lifeMaxMs = 15 * 60_000;

/** One entry of the `access` claim of a registry token (distribution spec, «Token Authentication Implementation»). */
interface AccessEntry {
  readonly type?: unknown;
  readonly name?: unknown;
  readonly actions?: unknown;
}

/**
 * Whether a grant may leave the centre: no more than what was wanted, for a quarter of an hour at most, and nothing of
 * the credential in it. Some registries hand out the password in base64, some a token for everything; only a JWT that
 * says what it is for can be told from those.
 */
export function isNarrow(grant: Grant, want: GrantWant, credential: Credential | undefined, now: number): boolean {
  if (grant.kind !== 'authorization') return true;
  const [, token] = /^Bearer (\S+)$/.exec(grant.value) ?? [];
  const parts = token === undefined ? undefined : readJwt(token);
  if (token === undefined || parts === undefined || grant.expiresAt - now > lifeMaxMs) return false;
  if (credential !== undefined && [token, parts.header, parts.payload].some((text) => reveals(text, credential))) {
    return false;
  }
  return isWithin(parts.claims, want, now);
}

interface Jwt {
  readonly header: string;
  readonly payload: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

function readJwt(token: string): Jwt | undefined {
  const parts = token.split('.');
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return undefined;
  const [header = '', payload = ''] = parts.slice(0, 2).map((part) => Buffer.from(part, 'base64url').toString('utf8'));
  try {
    const claims: unknown = JSON.parse(payload);
    const isObject = typeof claims === 'object' && claims !== null && !Array.isArray(claims);
    // Spelled anew, so that no escape of JSON hides a secret.
    return isObject
      ? { header, payload: payload + JSON.stringify(claims), claims: claims as Record<string, unknown> }
      : undefined;
  } catch {
    return undefined;
  }
}

function isWithin({ access, exp }: Jwt['claims'], want: GrantWant, now: number): boolean {
  // The claim decides how long a registry takes the token, whatever the token server said beside it.
  if (typeof exp !== 'number' || exp * 1000 - now > lifeMaxMs) return false;
  return Array.isArray(access) && access.every((entry: AccessEntry) => isEntryWithin(entry ?? {}, want));
}

function isEntryWithin({ type, name, actions }: AccessEntry, want: GrantWant): boolean {
  if (type !== 'repository' || name !== want.repository || !Array.isArray(actions)) return false;
  return actions.every((action) => want.actions.some((wanted) => wanted === action));
}
