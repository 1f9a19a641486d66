import { isDockerHub } from '../connectors/image-reference.ts';
import { dockerHubApi } from '../connectors/registry-address.ts';
import { isOracleRegistry, registryOrigin } from '../credentials/oracle/hosts.ts';
import { type OpenedOracle, openOracle } from '../credentials/oracle/open.ts';
import { tryPull } from '../credentials/pull-trial.ts';
import { type AnswerDependencies, findAnswer } from '../kubelet/answer.ts';
import type { Cache } from '../kubelet/cache.ts';
import type { Log } from '../kubelet/log.ts';
import { type LoginsOptions, sharedLogins } from '../kubelet/logins.ts';
import type { ProviderRequest } from '../kubelet/request.ts';
import type { Answer } from '../kubelet/response.ts';
import type { PrincipalSettings, ProviderSettings } from '../kubelet/settings.ts';
import { takeTurn } from '../kubelet/turn.ts';
import { readProxySettings } from '../platform/environment-proxy.ts';
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
/** After that the answer is what there is by then. */
const hasteShare = 0.85;

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
  const waits = countWaits(now);
  const haste = new AbortController();
  const hasteTimer = setTimeout(() => haste.abort(), part(hasteShare));
  let opened: OpenedOracle | undefined;
  /** Opened when it is needed: who has waited for others has so much less for each step. */
  const oracle = (): OpenedOracle => {
    const stepTimeoutMs = part(stepShare) - Math.min(part(waitShare), waits.waitedMs());
    opened ??= openOracle({ ...principal, environment, stepTimeoutMs, now });
    return opened;
  };
  const logins = sharedLogins({
    oracle: {
      registryToken: (host, askSignal) => oracle().registryToken(host, askSignal),
      vaultSecret: (secretId, askSignal) => oracle().vaultSecret(secretId, askSignal),
    },
    cache,
    takeTurn: waits.takeTurn,
    waitUntil: now() + part(waitShare),
    conceal: log.conceal,
    now,
  });
  const transports: RegistryTransport[] = [];
  const tryLogin: AnswerDependencies['tryPull'] = ({ registry, repository }, { username, password }, trialSignal) => {
    const transport = new RegistryTransport({
      origin: originOf(registry, principal),
      proxies: readProxySettings(environment),
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
      { logins, tryPull: tryLogin, isOracleRegistry, cache, log, now, haste: haste.signal },
      signal,
    );
  } finally {
    clearTimeout(hasteTimer);
    opened?.close();
    await Promise.all(transports.map((transport) => transport.destroy()));
  }
}

function countWaits(now: () => number): { takeTurn: LoginsOptions['takeTurn']; waitedMs: () => number } {
  let waitedMs = 0;
  const counted: LoginsOptions['takeTurn'] = async (name, options) => {
    const startedAt = now();
    try {
      return await takeTurn(name, options);
    } finally {
      waitedMs += now() - startedAt;
    }
  };
  return { takeTurn: counted, waitedMs: () => waitedMs };
}

function originOf(registry: string, { registryProtocol }: PrincipalSettings): string {
  return isDockerHub(registry) ? `https://${dockerHubApi}` : registryOrigin(registry, registryProtocol);
}
