import { isEntryOf } from '../connectors/image-pull-secrets.ts';
import { candidateGroups } from './candidates.ts';
import { GroupSearch, type SearchDependencies } from './group-search.ts';
import { ProviderError } from './provider-error.ts';
import type { ProviderRequest } from './request.ts';
import type { Answer } from './response.ts';
import type { ProviderSettings } from './settings.ts';

export interface AnswerDependencies extends SearchDependencies {
  readonly isOracleRegistry: (host: string, furtherDomains?: readonly string[]) => boolean;
  /** Aborts when it is time to answer with what there is by then: a service that hangs costs its own credential alone. */
  readonly haste: AbortSignal;
}

/**
 * The credentials of an image: entries of the configuration, then the principal. The kubelet takes one for each key, and
 * tries key after key; where candidates share a key, the registry is asked which of them works.
 * @throws ProviderError where there are candidates and none of them gives a credential
 */
export async function findAnswer(
  request: ProviderRequest,
  settings: ProviderSettings,
  dependencies: AnswerDependencies,
  signal: AbortSignal,
): Promise<Answer> {
  const { principal, imagePullSecrets } = settings;
  const isPrincipals = dependencies.isOracleRegistry(request.host, principal.domains);
  const groups = candidateGroups(request, imagePullSecrets, isPrincipals);
  if (groups.length === 0) return nothingFor(request, settings);
  const outcomes = await search(dependencies.haste, signal, (within) =>
    groups.map((group) => new GroupSearch(group, request, settings, dependencies, within)),
  );
  const found = outcomes.filter((outcome) => outcome.kind === 'found');
  const failed = outcomes.filter((outcome) => outcome.kind === 'none');
  if (found.length === 0) throw new ProviderError(failed.flatMap(({ reasons }) => reasons).join('; '));
  const isKept = found.every(({ isSure }) => isSure) && !failed.some(({ isPassing }) => isPassing);
  const isForAll = !principal.isTokenValidated && !hasEntryOf(request, settings);
  return {
    cacheKeyType: isForAll ? 'Registry' : 'Image',
    expiresAt: isKept ? Math.min(...found.map(({ login }) => login.expiresAt)) : undefined,
    auth: Object.fromEntries(found.map(({ key, login }) => [key, login.value])),
  };
}

/** Searches for all groups at once, and gives up what has not ended by then; whoever has nothing goes on waiting. */
async function search(haste: AbortSignal, signal: AbortSignal, open: (signal: AbortSignal) => readonly GroupSearch[]) {
  const ended = new AbortController();
  const searches = open(AbortSignal.any([signal, ended.signal]));
  const runs = searches.map((one) => one.run());
  const all = Promise.all(runs);
  const first = Promise.any(runs.map(async (run) => (await run).kind === 'found' || Promise.reject()));
  // What ends after the answer tells nobody.
  for (const promise of [all, first]) promise.catch(() => {});
  const hurry = Promise.withResolvers<void>();
  const onHaste = (): void => hurry.resolve();
  haste.addEventListener('abort', onHaste, { once: true });
  if (haste.aborted) onHaste();
  try {
    await Promise.race([all, hurry.promise]);
    const outcomes = searches.map((one) => one.soFar());
    if (outcomes.some(({ kind }) => kind === 'found')) return outcomes;
    await first.catch(() => all);
    return searches.map((one) => one.soFar());
  } finally {
    haste.removeEventListener('abort', onHaste);
    ended.abort();
  }
}

/** Which entries an image of a registry gets depends on its path. */
function hasEntryOf({ registry }: ProviderRequest, { imagePullSecrets }: ProviderSettings): boolean {
  return imagePullSecrets.some((entry) => isEntryOf(entry, registry));
}

/** Not to be used again: whoever adds the entry that was missing looks at the next pull. */
function nothingFor(request: ProviderRequest, settings: ProviderSettings): Answer {
  return { cacheKeyType: hasEntryOf(request, settings) ? 'Image' : 'Registry', expiresAt: undefined, auth: {} };
}
