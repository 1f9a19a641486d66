import { type ImageReference, parseImageReference, repositoryOf } from '../connectors/image-reference.ts';
import { isJsonObject, type JsonObject, parseJson } from '../platform/json.ts';
import { printable } from '../platform/printable.ts';
import { decodeUtf8 } from '../platform/utf8.ts';

const group = 'credentialprovider.kubelet.k8s.io';
const apiVersions = [`${group}/v1`, `${group}/v1beta1`, `${group}/v1alpha1`] as const;
export type ApiVersion = (typeof apiVersions)[number];

/** Annotations of a service account are 256 KiB at most, and a token is small. */
export const requestBytesMax = 1024 * 1024;

/** A CredentialProviderRequest. */
export interface ProviderRequest {
  readonly apiVersion: ApiVersion;
  /** As the kubelet names it: without tag and digest. */
  readonly image: string;
  /** Host of the registry as the image names it, with its port. */
  readonly host: string;
  /** In canonical spelling, see canonicalRegistry. */
  readonly registry: string;
  /** As the registry's API names it. */
  readonly repository: string;
  /** Of the pod's service account; undefined where the kubelet's configuration has no tokenAttributes. */
  readonly token: string | undefined;
}

export type ParsedRequest = { ok: true; request: ProviderRequest } | { ok: false; reason: string };

const refuse = (reason: string): ParsedRequest => ({ ok: false, reason });

/** Reads what the kubelet wrote to standard input. No reason quotes it: it may hold a token. */
export function parseRequest(input: Uint8Array): ParsedRequest {
  if (input.length > requestBytesMax) return refuse(`standard input holds more than ${requestBytesMax} bytes`);
  const text = decodeUtf8(input);
  if (text === undefined) return refuse('standard input is not UTF-8');
  if (text.trim() === '') {
    return refuse('standard input is empty: the kubelet writes a CredentialProviderRequest to it');
  }
  const value = parseJson(text);
  if (value === undefined) return refuse('standard input is not one JSON object and nothing else');
  return isJsonObject(value) ? readRequest(value) : refuse('standard input is JSON, but no object');
}

function readRequest(value: JsonObject): ParsedRequest {
  const { apiVersion, kind, image, serviceAccountToken = '' } = value;
  const known = apiVersions.find((version) => version === apiVersion);
  if (known === undefined) {
    return refuse(`apiVersion is ${shown(apiVersion)}, and this answers ${apiVersions.join(', ')}`);
  }
  if (kind !== 'CredentialProviderRequest') return refuse(`kind is ${shown(kind)}, and not CredentialProviderRequest`);
  if (typeof image !== 'string') return refuse('image is missing, or no text');
  if (typeof serviceAccountToken !== 'string' || /[^\x21-\x7e]/.test(serviceAccountToken)) {
    return refuse('serviceAccountToken is not a token');
  }
  const parsed = parseImageReference(image);
  if (!parsed.ok) return refuse(`image ${shown(image)} is no reference: ${printable(parsed.reason, 256)}`);
  return {
    ok: true,
    request: { apiVersion: known, image, ...placeOf(parsed.reference), token: serviceAccountToken || undefined },
  };
}

function placeOf(reference: ImageReference): Pick<ProviderRequest, 'host' | 'registry' | 'repository'> {
  const { domain, registry } = reference;
  return { host: domain ?? registry, registry, repository: repositoryOf(reference) };
}

const shown = (value: unknown): string => (typeof value === 'string' ? `"${printable(value)}"` : 'missing, or no text');
