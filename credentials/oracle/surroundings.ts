import type { Dispatchers } from './dispatchers.ts';
import { misconfigured } from './errors.ts';
import type { OracleSettings } from './oracle.ts';

/** What every part of the way works with. */
export interface Surroundings {
  readonly settings: OracleSettings;
  readonly dispatchers: Dispatchers;
  readonly stepTimeoutMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1, for the spread of retries. */
  readonly random: () => number;
}

/** @throws OracleError `Misconfigured` where it is no URL of HTTP */
export function urlSetting(name: string, text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw misconfigured(`${name} is no URL with http or https`);
}
