import type { ApiVersion } from './request.ts';

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** What the kubelet is told, before it is put into the words of its API. */
export interface Answer {
  /** For what the kubelet may use it again: this image, or every image of the registry. */
  readonly cacheKeyType: 'Image' | 'Registry';
  /** Until when it may be used again, in milliseconds since the epoch; undefined: not at all. */
  readonly expiresAt: number | undefined;
  /** By what an image's name has to begin with: host, or host and path. */
  readonly auth: Readonly<Record<string, Login>>;
}

/** A CredentialProviderResponse of the version that was asked in. */
export function formatResponse(apiVersion: ApiVersion, answer: Answer, now: number): string {
  const { cacheKeyType, expiresAt = now, auth } = answer;
  const cacheDuration = formatDuration(expiresAt - now);
  return `${JSON.stringify({ apiVersion, kind: 'CredentialProviderResponse', cacheKeyType, cacheDuration, auth })}\n`;
}

/** Go counts durations in 64 bits of nanoseconds: 292 years. */
const secondsMax = 9_000_000_000;

/** A duration as Go writes it, `1h0m0s`, in whole seconds that are not too many; hours are not counted in days. */
export function formatDuration(ms: number): string {
  const total = Math.min(secondsMax, Math.max(0, Math.floor(ms / 1000) || 0));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
