import { isDockerHub } from '../connectors/image-reference.ts';
import { isOracleRegistry } from '../credentials/oracle/hosts.ts';
import { openOracle } from '../credentials/oracle/open.ts';
import { tryPull } from '../credentials/pull-trial.ts';
import { type AnswerDependencies, findAnswer } from '../kubelet/answer.ts';
import type { Cache } from '../kubelet/cache.ts';
import type { Log } from '../kubelet/log.ts';
import { sharedLogins } from '../kubelet/logins.ts';
import type { ProviderRequest } from '../kubelet/request.ts';
import type { Answer } from '../kubelet/response.ts';
import type { PrincipalSettings, ProviderSettings } from '../kubelet/settings.ts';
import { takeTurn } from '../kubelet/turn.ts';
import { RegistryTransport } from '../platform/transport.ts';

export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cache: Cache;
  readonly log: Log;
  readonly now: () => number;
  /** Until the deadline. */
  readonly leftMs: number;
}

/** Of the time that is left; somebody else who asks the same has had that long, and we need the rest ourselves. */
const waitShare = 0.3;
/** A step of Oracle's must leave time for what comes after it, and for saying which one it was. */
const stepShare = 0.5;
/** A registry that cannot be asked, or not to the end, costs nobody his credential. */
const connectShare = 0.2;
const trialShare = 0.4;

/** Puts the parts together that only an answer needs which is not in the cache. */
export async function answerAnew(
  request: ProviderRequest,
  settings: ProviderSettings,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Answer> {
  const { environment, cache, log, now, leftMs } = surroundings;
  const part = (share: number): number => Math.floor(Math.max(0, leftMs) * share);
  const { principal } = settings;
  const oracle = openOracle({ ...principal, environment, stepTimeoutMs: part(stepShare), now });
  const waitUntil = now() + part(waitShare);
  const logins = sharedLogins({ oracle, cache, takeTurn, waitUntil, conceal: log.conceal, now });
  const transports: RegistryTransport[] = [];
  const tryLogin: AnswerDependencies['tryPull'] = ({ registry, repository }, { username, password }, trialSignal) => {
    const transport = new RegistryTransport({
      origin: originOf(registry, principal),
      proxies: proxiesOf(environment),
      timeouts: { connectMs: part(connectShare), headersMs: part(stepShare) },
    });
    transports.push(transport);
    const within = AbortSignal.any([trialSignal, AbortSignal.timeout(part(trialShare))]);
    return tryPull({ transport, repository, credential: { kind: 'password', username, password }, now }, within);
  };
  try {
    return await findAnswer(
      request,
      settings,
      { logins, tryPull: tryLogin, isOracleRegistry, cache, log, now },
      signal,
    );
  } finally {
    oracle.close();
    await Promise.all(transports.map((transport) => transport.destroy()));
  }
}

function originOf(registry: string, { registryProtocol }: PrincipalSettings): string {
  return isDockerHub(registry) ? 'https://registry-1.docker.io' : `${registryProtocol}://${registry}`;
}

/** The usual names in either case; the lower-case one wins, as with curl and Go. */
function proxiesOf(environment: Surroundings['environment']) {
  const read = (name: string): string | undefined => environment[name.toLowerCase()] || environment[name] || undefined;
  return { httpProxy: read('HTTP_PROXY'), httpsProxy: read('HTTPS_PROXY'), noProxy: read('NO_PROXY') };
}
