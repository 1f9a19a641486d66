/**
 * The one codec of proxy addresses: the webhook encodes with it, the proxy decodes with it. A connector is named
 * - in the path form by `namespaces/<ns>/connectors/<name>/` before the repository, on any host of ours;
 * - in the host form by `c-<name>.<ns>.svc.<cluster domain>`, of which only the first two labels count.
 */

/** A connector's full name. */
export interface ConnectorKey {
  readonly namespace: string;
  readonly name: string;
}

/** What an address of ours names: a connector, and what stands behind it. */
export interface ConnectorPath {
  readonly connector: ConnectorKey;
  /** What follows the connector: a repository, or a repository and more; may be empty. */
  readonly rest: string;
}

const label = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const labelOnly = new RegExp(`^${label}$`);
const pathForm = new RegExp(`^namespaces/(${label})/connectors/(${label})(?:/(.*))?$`, 's');
/** Two characters, `c-`, are the Service's; 63 is the limit of a DNS label. */
const nameLengthMax = 61;
const namespaceLengthMax = 63;

export const isConnectorName = (text: string): boolean => text.length <= nameLengthMax && labelOnly.test(text);
export const isNamespaceName = (text: string): boolean => text.length <= namespaceLengthMax && labelOnly.test(text);

export const formatKey = (key: ConnectorKey): string => `${key.namespace}/${key.name}`;

function toKey(namespace: string | undefined, name: string | undefined): ConnectorKey | undefined {
  if (namespace === undefined || name === undefined) return undefined;
  return isNamespaceName(namespace) && isConnectorName(name) ? { namespace, name } : undefined;
}

/** Reads `ns/name`, or `name` in `defaultNamespace`. */
export function parseKey(text: string, defaultNamespace: string): ConnectorKey | undefined {
  const parts = text.trim().split('/');
  return parts.length === 1
    ? toKey(defaultNamespace, parts[0])
    : parts.length === 2
      ? toKey(parts[0], parts[1])
      : undefined;
}

/** `namespaces/<ns>/connectors/<name>`: the path form, without slashes around it. */
export const connectorPath = (key: ConnectorKey): string => `namespaces/${key.namespace}/connectors/${key.name}`;

/** The address that stands in images: `localhost:7450/namespaces/<ns>/connectors/<name>`. */
export const imageAddress = (proxyHost: string, key: ConnectorKey): string => `${proxyHost}/${connectorPath(key)}`;

/** Reads the path form; undefined for any other path. Names are compared as they stand: percent signs make no name. */
export function parseConnectorPath(path: string): ConnectorPath | undefined {
  const match = pathForm.exec(path);
  const connector = match === null ? undefined : toKey(match[1], match[2]);
  return connector === undefined ? undefined : { connector, rest: match?.[3] ?? '' };
}

/** The connector's host name in the cluster: `c-<name>.<ns>.svc.cluster.local`. */
export function connectorHost(key: ConnectorKey, clusterDomain = 'cluster.local'): string {
  return `c-${key.name}.${key.namespace}.svc.${clusterDomain}`;
}

/**
 * The address of a connector's proxy in the cluster, as its status shows it: host form, or path form where its class
 * says so.
 */
export function proxyUrl(key: ConnectorKey, form: 'host' | 'path', clusterDomain?: string): string {
  const host = `http://${connectorHost(key, clusterDomain)}`;
  return form === 'path' ? `${host}/${connectorPath(key)}` : host;
}

/** Reads the host form from a `Host` header, with or without a port, by its first two labels; undefined for any other host. */
export function parseConnectorHost(host: string): ConnectorKey | undefined {
  const [first, second] = hostLabels(host);
  return first?.startsWith('c-') ? toKey(second, first.slice(2)) : undefined;
}

const hostLabels = (host: string): readonly string[] => host.toLowerCase().replace(/:\d*$/, '').split('.');

/**
 * The connector that an image already names, in either form, or undefined for an image that is not ours. In an image
 * the host form needs its third label `svc`: `c-foo.example.com` may well be somebody's registry.
 */
export function connectorOfImage(
  domain: string | undefined,
  path: string,
  proxyHost: string,
): ConnectorKey | undefined {
  if (domain === undefined) return undefined;
  const isHostForm = hostLabels(domain)[2] === 'svc';
  const byHost = isHostForm ? parseConnectorHost(domain) : undefined;
  const byPath = isHostForm || domain === proxyHost ? parseConnectorPath(path)?.connector : undefined;
  return byPath ?? byHost;
}
