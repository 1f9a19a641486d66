import { type ConfigurationContext, originOf, proxyUser, type TemplateConnector } from './template-data.ts';

/** The files that stand in every volume, by name, whatever configurations it names. */
export function builtinFiles(
  connectors: readonly TemplateConnector[],
  { token, caBundle }: ConfigurationContext,
): ReadonlyMap<string, string> {
  const [connector] = connectors;
  if (connector === undefined) return new Map();
  // The proxy is asked by HTTP for both: it ends TLS behind CONNECT.
  const proxy = new URL(originOf(connector));
  const address = `${proxy.protocol}//${proxyUser(connectors)}:${token}@${proxy.host}`;
  return new Map([
    ['.env', environmentOf(connectors, address)],
    ['http.proxy', address],
    ['https.proxy', address],
    ['context.token', token],
    ['context.proxy.caCert', caBundle],
    ['ca.crt', caBundle],
    ['ca.cert', caBundle],
    ['connector.status.proxyAddress', connector.status.proxyAddress],
  ]);
}

/** Lines of NAME=value, for `set -a; . .env` and for `--env-file`: no value needs a quote. */
function environmentOf(connectors: readonly TemplateConnector[], address: string): string {
  const hosts = connectors.map((connector) => new URL(originOf(connector)).host);
  const direct = ['localhost', '127.0.0.1', '::1', ...hosts].join(',');
  const variables = { HTTP_PROXY: address, HTTPS_PROXY: address, NO_PROXY: direct };
  const lines = Object.entries(variables).flatMap(([name, value]) => [
    `${name}=${value}`,
    `${name.toLowerCase()}=${value}`,
  ]);
  return `${lines.join('\n')}\n`;
}
