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

/** A grant that the registry has answered with 401, or 403. */
export interface RefusedGrant {
  readonly grant: Grant;
  /** What came with it. */
  readonly challenge: string | readonly string[] | undefined;
  /** 403, or a 404 that may hide something: the registry knows who it was, so that only another credential may do better. */
  readonly isForbidden?: boolean | undefined;
}

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
  /** A grant that the registry has just refused. */
  readonly refused?: RefusedGrant;
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
