import { type ImagePullSecret, isEntryFor, readEndpoint } from '../connectors/image-pull-secrets.ts';
import type { ProviderRequest } from './request.ts';

/** Something that may let the kubelet pull an image. */
export type Candidate = {
  /** For the log, as `imagePullSecrets[2]`. */
  readonly name: string;
} & ({ readonly kind: 'entry'; readonly entry: ImagePullSecret } | { readonly kind: 'principal' });

/** Candidates that the kubelet can get one of. */
export interface CandidateGroup {
  /** By what an image's name begins that the credential is for: the key in the kubelet's answer. */
  readonly key: string;
  /** In the order in which they are to be tried; at least one. */
  readonly candidates: readonly [Candidate, ...Candidate[]];
}

/** What there is for an image, in the order of the list and the principal last. The kubelet tries the longest key first. */
export function candidateGroups(
  request: ProviderRequest,
  entries: readonly ImagePullSecret[],
  isPrincipals: boolean,
): readonly CandidateGroup[] {
  const groups = new Map<string, [Candidate, ...Candidate[]]>();
  const add = (key: string, candidate: Candidate): void => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [candidate]);
    else group.push(candidate);
  };
  for (const [index, entry] of entries.entries()) {
    if (!isEntryFor(entry, request.registry, request.repository)) continue;
    add(keyOf(entry, request.host), { kind: 'entry', name: `imagePullSecrets[${index}]`, entry });
  }
  if (isPrincipals) add(request.host, { kind: 'principal', name: 'the principal' });
  return [...groups].map(([key, candidates]) => ({ key, candidates }));
}

/** Host as the image spells it, because the kubelet knows no aliases, and the path of the entry. */
function keyOf({ registryEndpoint }: ImagePullSecret, host: string): string {
  const path = readEndpoint(registryEndpoint)?.path ?? '';
  if (path === '') return host;
  // The kubelet takes one /v1/ or /v2/ away from the beginning of a path (BasicDockerKeyring.Add).
  return /^v[12]\//.test(path) ? `${host}/v2/${path}` : `${host}/${path}`;
}
