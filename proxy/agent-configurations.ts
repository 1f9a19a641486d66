import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue, ConnectorDocuments } from '../connectors/catalogue.ts';
import { declaredConfigurations } from '../connectors/configurations/declared.ts';
import type { LastConfigurations } from '../connectors/configurations/last-configurations.ts';
import type {
  ConfigurationAnswer,
  ConfigurationQuestion,
  ConfigurationWant,
} from '../connectors/configurations/protocol.ts';
import {
  type ConfigurationFile,
  documentsFor,
  renderConfigurations,
  revisionOf,
} from '../connectors/configurations/render.ts';
import type { ConfigurationContext } from '../connectors/configurations/template-data.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { conditionOf, readyCondition, statusOf } from '../connectors/status.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Access } from './access.ts';
import type { CallOrigin } from './caller.ts';
import { readClaims } from './service-account-token.ts';

/**
 * How many tokens and rights of pods with volumes are remembered, apart from those of callers. Each brings a new token
 * every half an hour that nobody asks about again: among callers they would push out those who pull and push.
 */
export const volumeReviewsMax = 8_192;

type Documents = Pick<ConnectorCatalogue, 'documents'>;

/** What the files of pods are rendered from. */
export interface ConfigurationSources {
  readonly store: { readonly catalogue: Documents };
  /** With reviews of its own, of `volumeReviewsMax`. */
  readonly access: Access;
  /** Kept from question to question. */
  readonly last: LastConfigurations;
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
  /** What a pod that runs goes on without, or with an older one of; one sentence each. */
  readonly faults: readonly string[];
}

/** Of a token's life, the part after which another answer is worth asking for: the kubelet renews tokens then. */
const refreshPart = 0.8;

/** What is so of one connector does not end the tokens that a pod has for the others. */
const ofOneConnector: ReadonlySet<string> = new Set(['ACCESS_DENIED', 'CONNECTOR_UNKNOWN', 'CONNECTOR_UNUSABLE']);

/**
 * The files of one volume, for the caller that the question's token identifies. A pod that has files already gets them of
 * what is left, as long as one connector is; and of configurations as they last rendered, where those of now do not.
 * @throws ProxyError as Access does, CONNECTOR_NOT_READY, or what rendering refuses
 */
export async function renderVolume(
  question: ConfigurationQuestion,
  origin: CallOrigin,
  sources: ConfigurationSources,
  signal: AbortSignal,
): Promise<ConfigurationAnswer> {
  const { store, clusterDomain, caBundle, now = Date.now, onRender } = sources;
  const { token, want, isRefresh } = question;
  const { caller, connectors, refusals } = await admitAll(question, origin, sources, signal);
  const { catalogue } = store;
  const left = isRefresh ? reduceWant(want, connectors, catalogue) : want;
  const context = { token, clusterDomain, caBundle: caBundle() };
  const { files, problem } = renderFiles(left, documentsFor(left, catalogue), context, { isRefresh, ...sources });
  const expiresAt = readClaims(token)?.expiresAt ?? 0;
  const at = now();
  onRender?.({
    caller,
    node: origin.node,
    connectors: left.connectors.map(formatKey),
    configurations: left.names,
    isRefresh,
    faults: [
      ...refusals.map(({ message }) => `left out of files: ${message}`),
      ...(problem === undefined ? [] : [`files are as they last rendered: ${problem.message}`]),
    ],
  });
  return {
    files: [...files],
    // Of what is wanted and is there, whatever this caller may use and whichever classes it was rendered with.
    revision: revisionOf(want, documentsThere(want.connectors, catalogue), context),
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
  const { catalogue } = store;
  return wants.map((want) => {
    const documents = documentsThere(want.connectors, catalogue);
    return documents.length === 0 ? '' : revisionOf(want, documents, context);
  });
}

const documentsThere = (connectors: readonly ConnectorKey[], catalogue: Documents): readonly ConnectorDocuments[] =>
  connectors.flatMap((key) => catalogue.documents(key) ?? []);

interface Admitted {
  readonly caller: string;
  readonly connectors: readonly ConnectorKey[];
  /** Of the other connectors. */
  readonly refusals: readonly ProxyError[];
}

async function admitAll(
  { token, want, isRefresh }: ConfigurationQuestion,
  origin: CallOrigin,
  sources: ConfigurationSources,
  signal: AbortSignal,
): Promise<Admitted> {
  const { store } = sources;
  let caller = '';
  const connectors: ConnectorKey[] = [];
  const refusals: ProxyError[] = [];
  for (const key of want.connectors) {
    try {
      const admission = await admit(key, { token, origin }, sources, signal);
      caller = admission.caller;
      if (!isRefresh && admission.connector.isReady === false) throw notReady(key, store.catalogue);
      connectors.push(key);
    } catch (error) {
      if (!isRefresh || !(error instanceof ProxyError) || !ofOneConnector.has(error.code)) throw error;
      caller = error.caller ?? caller;
      // What cannot be used at present may be mended, as one that is not Ready: its host stays in the files.
      if (error.code === 'CONNECTOR_UNUSABLE' && store.catalogue.documents(key) !== undefined) connectors.push(key);
      else refusals.push(error);
    }
  }
  if (connectors.length === 0 && refusals[0] !== undefined) throw refusals[0];
  return { caller, connectors, refusals };
}

/** What is left of a want with these connectors. */
function reduceWant(
  want: ConfigurationWant,
  connectors: readonly ConnectorKey[],
  catalogue: Documents,
): ConfigurationWant {
  const left = connectors.filter((key) => catalogue.documents(key) !== undefined);
  if (left.length === want.connectors.length) return want;
  if (left.length === 0) return { ...want, connectors: [...connectors] };
  const declared = declaredConfigurations(documentsThere(left, catalogue));
  // A configuration that only the class of another connector has goes with it.
  const names = want.names.filter((name) => declared.has(name));
  const params = Object.fromEntries(Object.entries(want.params).filter(([name]) => names.includes(name)));
  return { ...want, connectors: left, names, params };
}

function renderFiles(
  want: ConfigurationWant,
  documents: readonly ConnectorDocuments[],
  context: ConfigurationContext,
  { isRefresh, last }: Pick<ConfigurationQuestion, 'isRefresh'> & Pick<ConfigurationSources, 'last'>,
): { readonly files: readonly ConfigurationFile[]; readonly problem?: ProxyError } {
  try {
    const files = renderConfigurations(want, documents, context);
    last.remember(want.names, documents);
    return { files };
  } catch (problem) {
    if (!isRefresh || !(problem instanceof ProxyError)) throw problem;
    try {
      return { files: renderConfigurations(want, last.restore(want.names, documents), context), problem };
    } catch {
      throw problem;
    }
  }
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
