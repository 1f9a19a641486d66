import { formatKey, proxyUrl } from '../address.ts';
import { type ConnectorDocuments, namespaceOf } from '../catalogue.ts';
import { proxyFormOf } from '../schema.ts';

/** What configurations are rendered with, beside the connectors. */
export interface ConfigurationContext {
  /** Of the pod, short-lived. */
  readonly token: string;
  /** What clients trust that meet the proxy by HTTPS, PEM. */
  readonly caBundle: string;
  /** DNS domain of the cluster. */
  readonly clusterDomain: string;
}

/** A connector as templates see it. */
export interface TemplateConnector {
  readonly name: string;
  readonly namespace: string;
  /** Without labels and annotations, which may be long and change for any reason. */
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: ConnectorDocuments['connector']['spec'];
  readonly status: { readonly proxyAddress: string };
}

/** The variables of the public documentation. `configurations` are the parameters. */
export interface TemplateData {
  /** The first of `connectors`. */
  readonly connector: TemplateConnector;
  readonly connectors: readonly TemplateConnector[];
  readonly connectorclass: { readonly name: string; readonly proxyAddress: string };
  readonly configurations: Readonly<Record<string, unknown>>;
  readonly context: { readonly token: string; readonly proxy: { readonly caCert: string } };
}

export function templateConnector(
  { connector, connectorClass }: ConnectorDocuments,
  clusterDomain: string,
): TemplateConnector {
  const { name } = connector.metadata;
  const namespace = namespaceOf(connector);
  const proxyAddress = proxyUrl({ namespace, name }, proxyFormOf(connectorClass), clusterDomain);
  return {
    name,
    namespace,
    metadata: { name, namespace },
    spec: connector.spec,
    status: { proxyAddress },
  };
}

export function templateData(
  connectors: readonly TemplateConnector[],
  className: string,
  params: Readonly<Record<string, unknown>>,
  { token, caBundle }: Pick<ConfigurationContext, 'token' | 'caBundle'>,
): TemplateData {
  const [connector] = connectors;
  if (connector === undefined) throw new RangeError('there is no configuration without a connector');
  return {
    connector,
    connectors,
    connectorclass: { name: className, proxyAddress: originOf(connector) },
    configurations: params,
    context: { token, proxy: { caCert: caBundle } },
  };
}

/** `http://host` of a connector's proxy, without the path of the path form. */
export const originOf = ({ status }: TemplateConnector): string => new URL(status.proxyAddress).origin;

/** What a forward proxy's URL names the connectors by. */
export const proxyUser = (connectors: readonly TemplateConnector[]): string =>
  connectors.map((connector) => encodeURIComponent(formatKey(connector))).join(',');
