import { type ConnectorKey, formatKey } from './address.ts';
import { builtinClasses } from './builtin-class.ts';
import { type ConnectorParts, type ResolvedConnector, resolveConnector } from './connector.ts';
import type { ImageReference } from './image-reference.ts';
import { ConnectorIndex, type Match } from './matching.ts';
import {
  type Connector,
  type ConnectorClass,
  connectorApiVersion,
  type Document,
  type Namespace,
  type Secret,
} from './schema.ts';

/** Connectors in `kube-public` are for the whole cluster, in the documentation as here. */
export const defaultSharedNamespace = 'kube-public';
const defaultNamespace = 'default';

/** A connector as its administrators wrote it. */
export interface ConnectorDocuments {
  readonly connector: Connector;
  readonly connectorClass: ConnectorClass;
}

/** The reading side of every store of connectors. All answers of one catalogue belong together. */
export interface ConnectorCatalogue {
  readonly connectors: readonly ResolvedConnector[];
  connector(key: ConnectorKey): ResolvedConnector | undefined;
  /** Undefined for a connector that cannot be read, and for one without a class. */
  documents(key: ConnectorKey): ConnectorDocuments | undefined;
  /** The connector that `namespace` would use for an image: its own and the shared ones, the longest address first. */
  find(reference: ImageReference, namespace: string): Match<ResolvedConnector> | undefined;
  namespace(name: string): Namespace | undefined;
}

/** Whoever holds the current catalogue. */
export interface ConnectorStore {
  readonly catalogue: ConnectorCatalogue;
}

export interface CatalogueOptions {
  sharedNamespace?: string;
}

/** `kind/namespace/name`, which no two documents may share. */
export function identityOf(document: Document): string {
  const namespaced = document.kind === 'Connector' || document.kind === 'Secret';
  return `${document.kind} ${namespaced ? `${namespaceOf(document)}/` : ''}${document.metadata.name}`;
}

export const namespaceOf = (document: Document): string => document.metadata.namespace ?? defaultNamespace;

/** Puts documents together into a catalogue; of two with the same identity the first counts. */
export function buildCatalogue(documents: Iterable<Document>, options: CatalogueOptions = {}): ConnectorCatalogue {
  const byIdentity = new Map<string, Document>();
  for (const document of [...documents, ...builtinClasses]) {
    const identity = identityOf(document);
    if (!byIdentity.has(identity)) byIdentity.set(identity, document);
  }
  const parts: ConnectorParts = {
    connectorClass: (name) => byIdentity.get(`ConnectorClass ${name}`) as ConnectorClass | undefined,
    secret: (namespace, name) => byIdentity.get(`Secret ${namespace}/${name}`) as Secret | undefined,
  };
  const connectors = [...byIdentity.values()]
    .filter((document) => document.apiVersion === connectorApiVersion && document.kind === 'Connector')
    .map((document) => resolveConnector(document, namespaceOf(document), parts));
  const byKey = new Map(connectors.map((connector) => [formatKey(connector.key), connector]));
  const index = new ConnectorIndex(connectors);
  const sharedNamespace = options.sharedNamespace ?? defaultSharedNamespace;
  return Object.freeze({
    connectors: Object.freeze(connectors),
    connector: (key: ConnectorKey) => byKey.get(formatKey(key)),
    documents: (key: ConnectorKey) => {
      const connector = byIdentity.get(`Connector ${formatKey(key)}`) as Connector | undefined;
      return documentsOf(connector, parts.connectorClass);
    },
    find: (reference: ImageReference, namespace: string) => index.find(reference, { namespace, sharedNamespace }),
    namespace: (name: string) => byIdentity.get(`Namespace ${name}`) as Namespace | undefined,
  });
}

/** Puts a connector and its class together, where both are there. */
export function documentsOf(
  connector: Connector | undefined,
  classNamed: (name: string) => ConnectorClass | undefined,
): ConnectorDocuments | undefined {
  const connectorClass = connector && classNamed(connector.spec.connectorClassName);
  return connectorClass && { connector, connectorClass };
}
