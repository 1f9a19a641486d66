import type { Credential } from './credential.ts';
import type { Grant } from './grant.ts';

/** What a grant was made of: never sent anywhere, for whoever has to keep it out of a text. */
export interface GrantOrigin {
  readonly credential: Credential | undefined;
  /** All that the registry was shown for the connector, and may repeat: it grows. */
  readonly shown?: readonly Credential[] | undefined;
  /** The field of the Connector that names the credential. */
  readonly label?: string | undefined;
  /** Other credentials may see what this one does not: whether it may pull could not be told. */
  readonly isUnproven?: boolean | undefined;
  /** What to look at where the registry refuses what was made of it. */
  readonly advice?: string | undefined;
}

const origins = new WeakMap<Grant, GrantOrigin>();

/** Keeps what a grant was made of for as long as the grant is there; answers with the grant. */
export function withOrigin<T extends Grant>(grant: T, origin: GrantOrigin): T {
  origins.set(grant, origin);
  return grant;
}

/** Undefined for a grant that was made in another process. */
export const originOf = (grant: Grant): GrantOrigin | undefined => origins.get(grant);

/** What must not be in a text of the registry's that answers to a grant. */
export function credentialsBehind(grant: Grant): readonly Credential[] {
  const { credential, shown = [] } = originOf(grant) ?? {};
  return credential === undefined || shown.includes(credential) ? shown : [credential, ...shown];
}
