import type { OutgoingHttpHeaders } from 'node:http';
import { type CallResult, call } from '../../support/call.ts';
import { digestOf } from '../../support/digest.ts';
import type { RealRegistry } from './distribution.ts';
import type { Credential, TokenIssuer } from './token-issuer.ts';

export interface ApiCall {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

/** A registry asked directly, with tokens of its issuer: what is really in it. */
export interface RegistryApi {
  /** An `Authorization` header for everything in `repositories`. */
  authorize(...repositories: readonly string[]): Promise<{ readonly authorization: string }>;
  /** `tail` is what follows the repository: `manifests/v1`. */
  call(repository: string, tail: string, options?: ApiCall): Promise<CallResult>;
  /** Reads `reference` with all that it refers to, and throws unless every byte of it is there and fits its digest. */
  readWhole(repository: string, reference: string): Promise<StoredImage>;
}

export interface StoredImage {
  /** Of the topmost manifest. */
  readonly digest: string;
  /** Digests of the manifests and blobs, the topmost manifest first. */
  readonly digests: readonly string[];
  /** Digests of its own layers, lowest first; none for an index. */
  readonly layers: readonly string[];
}

interface Descriptor {
  readonly digest: string;
}

interface Manifest {
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export function registryApi(registry: RealRegistry, issuer: TokenIssuer, credential: Credential): RegistryApi {
  const authorize = async (...repositories: readonly string[]) => {
    const query = new URLSearchParams({ service: issuer.service });
    for (const name of repositories) query.append('scope', `repository:${name}:pull,push,delete`);
    const basic = Buffer.from(`${credential.username}:${credential.password}`).toString('base64');
    const response = await fetch(`${issuer.realm}?${query}`, { headers: { authorization: `Basic ${basic}` } });
    const { token } = (await response.json()) as { token: string };
    return { authorization: `Bearer ${token}` };
  };
  const ask: RegistryApi['call'] = async (repository, tail, { headers, ...options } = {}) =>
    call(`${registry.origin}/v2/${repository}/${tail}`, {
      ...options,
      headers: { ...(await authorize(repository)), ...headers },
    });
  const readPart = async (repository: string, tail: string): Promise<Buffer> => {
    const { status, body, failure } = await ask(repository, tail, { headers: { accept: manifestTypes } });
    if (status !== 200 || failure !== undefined) throw new Error(`${repository}/${tail}: ${failure ?? status}`);
    return body;
  };
  const readBlob = async (repository: string, digest: string): Promise<string> => {
    const actual = digestOf(await readPart(repository, `blobs/${digest}`));
    if (actual !== digest) throw new Error(`${repository}: the blob ${digest} holds ${actual}`);
    return digest;
  };
  const readWhole: RegistryApi['readWhole'] = async (repository, reference) => {
    const bytes = await readPart(repository, `manifests/${reference}`);
    const digest = digestOf(bytes);
    if (reference.includes(':') && reference !== digest) throw new Error(`${reference} holds ${digest}`);
    const { manifests = [], config, layers = [] }: Manifest = JSON.parse(bytes.toString());
    const blobs = [...(config === undefined ? [] : [config]), ...layers];
    const below = await Promise.all([
      ...manifests.map(async (child) => (await readWhole(repository, child.digest)).digests),
      ...blobs.map(async (blob) => [await readBlob(repository, blob.digest)]),
    ]);
    return {
      digest,
      digests: [...new Set([digest, ...below.flat()])],
      layers: layers.map((layer) => layer.digest),
    };
  };
  return { authorize, call: ask, readWhole };
}
