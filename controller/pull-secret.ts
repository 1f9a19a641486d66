import { createHash } from 'node:crypto';
import { pullSecretName } from '../connectors/pull-identity.ts';
import { readJwt } from '../platform/jwt.ts';
import type { KubernetesObject } from '../platform/kubernetes/object.ts';
import { managedLabels } from './ownership.ts';

export const pullSecretType = 'kubernetes.io/dockerconfigjson';

/** Anything but empty: some clients refuse an entry without a user. The proxy reads the token alone. */
const username = 'oci-connector';
const dataKey = '.dockerconfigjson';
const expiryAnnotation = 'connectors.cpaas.io/token-expires-at';
const contentAnnotation = 'connectors.cpaas.io/content-sha256';

/** A Secret with its data: for as long as it takes to write it. */
export interface RawSecret extends KubernetesObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

/** A pull secret as it is kept in memory: what it says of its token, and neither the token nor any other data. */
export interface PullSecret extends KubernetesObject {
  readonly type?: string;
  /** undefined where there is no token, or where somebody has edited what we wrote. */
  readonly token?: PullToken | undefined;
}

/** What a token says of itself, and what follows from that. */
interface PullToken {
  readonly imageHost: string;
  readonly audiences: readonly string[];
  readonly secretUid: string;
  readonly accountUid: string;
  /** Epoch milliseconds. */
  readonly renewAt: number;
}

/** What a pull secret has to hold. */
export interface PullSecretWant {
  readonly imageHost: string;
  readonly audience: string;
  /** The uid of the ServiceAccount that the token is of: tokens of one that was deleted are worth nothing. */
  readonly accountUid: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** The Secret before it has a token: its uid has to be known to the token that is bound to it. */
export function emptyPullSecret(namespace: string): RawSecret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: pullSecretName, namespace, labels: managedLabels },
    type: pullSecretType,
    data: { [dataKey]: encode(JSON.stringify({ auths: {} })) },
  };
}

/** `secret` with a token in it, and all else as it was: the uid and the resourceVersion stay, so nothing is overwritten unseen. */
export function withToken(
  secret: RawSecret,
  imageHost: string,
  { token, expiresAt }: { readonly token: string; readonly expiresAt: number },
): RawSecret {
  const entry = { username, password: token, auth: encode(`${username}:${token}`) };
  const content = encode(JSON.stringify({ auths: { [imageHost]: entry } }));
  const annotations = {
    ...secret.metadata.annotations,
    [expiryAnnotation]: new Date(expiresAt).toISOString(),
    [contentAnnotation]: sha256(content),
  };
  return {
    ...secret,
    metadata: { ...secret.metadata, annotations },
    data: { ...secret.data, [dataKey]: content },
  };
}

/** Drops the data of a Secret and keeps what it says of its token. */
export function toPullSecret(secret: RawSecret): PullSecret {
  const { data, ...rest } = secret;
  const { managedFields: _, ...metadata } = secret.metadata;
  const content = data?.[dataKey];
  const isIntact = content !== undefined && metadata.annotations?.[contentAnnotation] === sha256(content);
  return { ...rest, metadata, token: isIntact ? readToken(content) : undefined };
}

/** Why the Secret needs another token now, or undefined while the one that it has is good. */
export function renewalReason({ metadata, token }: PullSecret, want: PullSecretWant): string | undefined {
  if (token === undefined) return 'it holds no token of ours';
  if (token.imageHost !== want.imageHost) return `its token is for ${token.imageHost}`;
  if (!token.audiences.includes(want.audience)) return `its token is for audience ${token.audiences.join(', ')}`;
  if (token.secretUid !== metadata.uid) return 'its token is bound to another Secret';
  if (token.accountUid !== want.accountUid) return 'its token is of a ServiceAccount that is gone';
  if (want.now >= token.renewAt) return 'its token is old';
  return undefined;
}

/**
 * Between 70 and 80 % of a token's life, other for each token, so that namespaces that opted in together do not renew
 * together. The same token always has the same time, whoever asks.
 */
function renewAt(id: string, issuedAt: number, expiresAt: number): number {
  const fraction = createHash('sha256').update(`${id} ${expiresAt}`).digest().readUInt32BE() / 2 ** 32;
  return issuedAt + (expiresAt - issuedAt) * (0.8 - fraction / 10);
}

/** As much of the claims of a bound token as is believed: it is our own, and whatever lacks one is no token of ours. */
interface BoundClaims {
  readonly aud: string | readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly 'kubernetes.io': {
    readonly secret: { readonly uid: string };
    readonly serviceaccount: { readonly uid: string };
  };
}

function readToken(content: string): PullToken | undefined {
  try {
    const { auths } = JSON.parse(Buffer.from(content, 'base64').toString());
    const [[imageHost, { password }]] = Object.entries<{ password: string }>(auths) as [[string, { password: string }]];
    const claims = readJwt(password)?.claims as unknown as BoundClaims;
    const { secret, serviceaccount } = claims['kubernetes.io'];
    return {
      imageHost,
      audiences: [claims.aud].flat(),
      secretUid: secret.uid,
      accountUid: serviceaccount.uid,
      renewAt: renewAt(secret.uid, claims.iat * 1000, claims.exp * 1000),
    };
  } catch {
    return undefined;
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
