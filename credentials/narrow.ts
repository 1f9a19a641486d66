import { readJwt, type UnverifiedJwt } from '../platform/jwt.ts';
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
 * the credentials in it, of which a token server may know several. Some registries hand out the password in base64, some a token for everything; only a JWT that
 * says what it is for can be told from those.
 */
export function isNarrow(grant: Grant, want: GrantWant, credentials: readonly Credential[], now: number): boolean {
  if (grant.kind !== 'authorization') return true;
  const [, token] = /^Bearer (\S+)$/.exec(grant.value) ?? [];
  const jwt = token === undefined ? undefined : readJwt(token);
  if (token === undefined || jwt === undefined || grant.expiresAt - now > lifeMaxMs) return false;
  const texts = textsOf(token, jwt);
  if (credentials.some((credential) => texts.some((text) => reveals(text, credential)))) return false;
  return isWithin(jwt.claims, want, now);
}

/** The token as it came and what it says, also spelled anew, so that no escape of JSON hides a secret. */
const textsOf = (token: string, { texts, header, claims }: UnverifiedJwt): readonly string[] => [
  token,
  ...texts,
  JSON.stringify(header),
  JSON.stringify(claims),
];

function isWithin({ access, exp }: UnverifiedJwt['claims'], want: GrantWant, now: number): boolean {
  // The claim decides how long a registry takes the token, whatever the token server said beside it.
  if (typeof exp !== 'number' || exp * 1000 - now > lifeMaxMs) return false;
  // A token that names no right and opens something all the same has its rights from elsewhere.
  if (!Array.isArray(access) || access.length === 0) return false;
  return access.every((entry: AccessEntry | null) => isEntryWithin(entry ?? {}, want));
}

function isEntryWithin({ type, name, actions }: AccessEntry, want: GrantWant): boolean {
  if (type !== 'repository' || name !== want.repository || !Array.isArray(actions)) return false;
  return actions.every((action) => want.actions.some((wanted) => wanted === action));
}
