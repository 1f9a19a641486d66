import { addresses } from './addresses.ts';
import { documents } from './documents.ts';
import { forwardProxy } from './forward-proxy.ts';
import type { Fuzzed } from './fuzzed.ts';
import { http1 } from './http1.ts';
import { pullSecrets } from './pull-secrets.ts';
import { templates } from './templates.ts';
import { tokensAndChallenges } from './tokens.ts';
import { uploads } from './uploads.ts';

/** Every parser of what strangers write: callers, registries, token servers, and whoever writes a file. */
export const parsers: readonly Fuzzed[] = [
  ...addresses,
  ...uploads,
  ...forwardProxy,
  ...http1,
  ...tokensAndChallenges,
  ...documents,
  ...templates,
  ...pullSecrets,
];
