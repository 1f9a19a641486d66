import type { ResolvedConnector } from '../connectors/connector.ts';

/** Rights on a repository, in the words of the token specification. */
export type Action = 'pull' | 'push' | 'delete';

/** Who asks. `name` goes into audit lines; what identified the caller does not. */
export interface Caller {
  readonly name: string;
}

/** What a request to the registry needs. */
export type Grant =
  | {
      readonly kind: 'authorization';
      /** Value of the `Authorization` header for the registry's own origin, and for no other. */
      readonly value: string;
      /** Milliseconds since the epoch. */
      readonly expiresAt: number;
    }
  | { readonly kind: 'anonymous' }
  /** The request goes through the centre: what the registry wants to see must not leave it. */
  | { readonly kind: 'relay' };

export interface GrantWant {
  readonly connector: ResolvedConnector;
  /** As the registry's API names it. */
  readonly repository: string;
  /** In a fixed order: pull, push, delete. */
  readonly actions: readonly Action[];
  readonly caller: Caller;
  /** A repository to mount blobs from, as the registry's API names it: it has to be pulled from as well. */
  readonly mountFrom?: string;
  /** How long it has to be good for, where it lives longer than twice as long: a body is going to be sent with it. */
  readonly freshMs?: number;
  /** A grant that the registry has just answered with 401: it is dropped, and this is the challenge that came with it. */
  readonly refused?: { readonly grant: Grant; readonly challenge: string | readonly string[] | undefined };
}

export interface GrantSource {
  /**
   * @throws ProxyError CONNECTOR_UNUSABLE, CREDENTIAL_REFUSED, UPSTREAM_… or TARGET_FORBIDDEN, with a message that
   * names what was refused and never what was sent
   */
  grant(want: GrantWant, signal: AbortSignal): Promise<Grant>;
}

export function isSameGrant(a: Grant, b: Grant): boolean {
  if (a.kind !== 'authorization' || b.kind !== 'authorization') return a.kind === b.kind;
  return a.value === b.value;
}
