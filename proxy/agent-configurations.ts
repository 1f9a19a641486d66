import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type {
  ConfigurationAnswer,
  ConfigurationQuestion,
  ConfigurationWant,
} from '../connectors/configurations/protocol.ts';
import { documentsFor, renderConfigurations, revisionOf } from '../connectors/configurations/render.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { conditionOf, readyCondition, statusOf } from '../connectors/status.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Access } from './access.ts';
import type { CallOrigin } from './caller.ts';
import { readClaims } from './service-account-token.ts';

/** What the files of pods are rendered from. */
export interface ConfigurationSources {
  readonly store: { readonly catalogue: Pick<ConnectorCatalogue, 'documents'> };
  readonly access: Access;
  /** Of the authority that clients in pods meet, PEM, as it is now. */
  readonly caBundle: () => string;
  readonly clusterDomain: string;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Told of each volume that was rendered. */
  readonly onRender?: (rendered: RenderedVolume) => void;
}

/** For the audit log. */
export interface RenderedVolume {
  readonly caller: string;
  readonly node: string | undefined;
  readonly connectors: readonly string[];
  readonly configurations: readonly string[];
  readonly isRefresh: boolean;
}

/** Of a token's life, the part after which another answer is worth asking for: the kubelet renews tokens then. */
const refreshPart = 0.8;

/**
 * The files of one volume, for the caller that the question's token identifies.
 * @throws ProxyError as Access does, CONNECTOR_NOT_READY, or what rendering refuses
 */
export async function renderVolume(
  { token, want, isRefresh }: ConfigurationQuestion,
  origin: CallOrigin,
  sources: ConfigurationSources,
  signal: AbortSignal,
): Promise<ConfigurationAnswer> {
  const { store, clusterDomain, caBundle, now = Date.now, onRender } = sources;
  let caller = '';
  for (const key of want.connectors) {
    const admission = await admit(key, { token, origin }, sources, signal);
    caller = admission.caller;
    if (!isRefresh && admission.connector.isReady === false) throw notReady(key, store.catalogue);
  }
  const documents = documentsFor(want, store.catalogue);
  const context = { token, clusterDomain, caBundle: caBundle() };
  const files = renderConfigurations(want, documents, context);
  const expiresAt = readClaims(token)?.expiresAt ?? 0;
  const at = now();
  onRender?.({
    caller,
    node: origin.node,
    connectors: want.connectors.map(formatKey),
    configurations: want.names,
    isRefresh,
  });
  return {
    files: [...files],
    revision: revisionOf(want, documents, context),
    expiresAt,
    refreshAfter: Math.round(at + Math.max(0, expiresAt - at) * refreshPart),
  };
}

/** Whether any of these volumes would change; nothing of what is in them. */
export function volumeRevisions(
  wants: readonly ConfigurationWant[],
  { store, clusterDomain, caBundle }: ConfigurationSources,
): readonly string[] {
  const context = { clusterDomain, caBundle: caBundle() };
  return wants.map((want) => {
    try {
      return revisionOf(want, documentsFor(want, store.catalogue), context);
    } catch (error) {
      if (error instanceof ProxyError) return '';
      throw error;
    }
  });
}

async function admit(
  connector: ConnectorKey,
  call: { token: string; origin: CallOrigin },
  { access }: ConfigurationSources,
  signal: AbortSignal,
): Promise<{ caller: string; connector: ResolvedConnector }> {
  try {
    const admission = await access.admit({ ...call, connector, repository: '', action: 'pull' }, signal);
    return { caller: admission.caller.name, connector: admission.connector };
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    const { code, message, headers, caller } = error;
    throw new ProxyError(code, `connector ${formatKey(connector)}: ${message}`, { headers, caller, cause: error });
  }
}

function notReady(key: ConnectorKey, catalogue: Pick<ConnectorCatalogue, 'documents'>): ProxyError {
  const status = statusOf(catalogue.documents(key)?.connector ?? {});
  const { reason = 'unknown', message = '' } = conditionOf(status.conditions ?? [], readyCondition) ?? {};
  const why = message === '' ? reason : `${reason}: ${message}`;
  return new ProxyError('CONNECTOR_NOT_READY', `connector ${formatKey(key)}: is not Ready (${why})`);
}
