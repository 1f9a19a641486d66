import { isObject, listOf, type RawObject } from './raw.ts';

const field = 'imagePullSecrets';

/** Whether pulls of the pod are identified: by the pull secret, or by the kubelet, which needs none (`name` undefined). */
export function hasPullIdentity(spec: RawObject, name: string | undefined): boolean {
  if (name === undefined) return true;
  return (listOf(spec[field]) ?? []).some((secret) => isObject(secret) && secret['name'] === name);
}

/** The spec with the pull secret's name behind the pod's own; the same object where it has it. */
export function withPullSecret(spec: RawObject, name: string | undefined): RawObject {
  const secrets = listOf(spec[field]);
  if (name === undefined || secrets === undefined || hasPullIdentity(spec, name)) return spec;
  return { ...spec, [field]: [...secrets, { name }] };
}
