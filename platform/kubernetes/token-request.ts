import { type KubernetesClient, KubernetesError } from './client.ts';
import { type ObjectKey, pathOf, resources } from './object.ts';

export interface TokenRequestOptions {
  readonly audiences: readonly string[];
  /** At least 600; the server may give another life than was asked for. */
  readonly expirationSeconds: number;
  /** The token ends with this object; with its uid, also when it is replaced by another of the same name. */
  readonly boundObject?: BoundObject;
  readonly signal?: AbortSignal;
}

export interface BoundObject {
  readonly apiVersion: string;
  readonly kind: 'Pod' | 'Secret' | 'Node';
  readonly name: string;
  readonly uid?: string;
}

export interface IssuedToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Asks for a token of a service account (authentication.k8s.io/v1 TokenRequest). */
export async function requestToken(
  client: Pick<KubernetesClient, 'post'>,
  account: ObjectKey,
  { audiences, expirationSeconds, boundObject, signal }: TokenRequestOptions,
): Promise<IssuedToken> {
  const path = pathOf(resources.serviceAccounts, { ...account, subresource: 'token' });
  const spec = { audiences, expirationSeconds, ...(boundObject === undefined ? {} : { boundObjectRef: boundObject }) };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  const { status } = await client.post<{ status?: { token?: unknown; expirationTimestamp?: unknown } }>(
    path,
    body,
    signal === undefined ? {} : { signal },
  );
  const expiresAt = Date.parse(String(status?.expirationTimestamp));
  if (typeof status?.token !== 'string' || Number.isNaN(expiresAt)) {
    throw new KubernetesError(`create ${path}: the answer holds no token`, { status: 502, reason: 'InvalidAnswer' });
  }
  return { token: status.token, expiresAt };
}
