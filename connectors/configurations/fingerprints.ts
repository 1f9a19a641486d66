import { createHash } from 'node:crypto';
import { type ConnectorDocuments, namespaceOf } from '../catalogue.ts';
import { type Configuration, type Connector, proxyFormOf } from '../schema.ts';

/** What stands for a document where only changes matter. */
interface Fingerprint {
  readonly digest: string;
  /** Of the document as JSON, in characters. */
  readonly length: number;
}

const specs = new WeakMap<Connector['spec'], Fingerprint>();
const configurations = new WeakMap<Configuration, Fingerprint>();

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** Documents are read once and never change; many volumes have the same. */
function fingerprintIn<T extends object>(known: WeakMap<T, Fingerprint>, document: T): Fingerprint {
  const found = known.get(document);
  if (found !== undefined) return found;
  const text = JSON.stringify(document);
  const made = { digest: digestOf(text), length: text.length };
  known.set(document, made);
  return made;
}

/** How much a connector adds to what templates are rendered with, in characters. */
export const specLength = ({ connector }: ConnectorDocuments): number => fingerprintIn(specs, connector.spec).length;

/** Changes with what templates see of a connector, and with these configurations of its class. */
export function fingerprintOf({ connector, connectorClass }: ConnectorDocuments, names: readonly string[]): string {
  const wanted = (connectorClass.spec.configurations ?? []).filter((configuration) =>
    names.includes(configuration.name),
  );
  return JSON.stringify([
    namespaceOf(connector),
    connector.metadata.name,
    fingerprintIn(specs, connector.spec).digest,
    connectorClass.metadata.name,
    proxyFormOf(connectorClass),
    wanted.map((configuration) => fingerprintIn(configurations, configuration).digest),
  ]);
}
