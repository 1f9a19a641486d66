import { canonicalHost } from '../../platform/host-name.ts';
import { realmDomains } from './realms.ts';

const httpsPort = '443';
/** A region (`eu-frankfurt-1`) or its key (`fra`). */
const region = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const domains = [...new Set(Object.values(realmDomains))].map((domain) => domain.replaceAll('.', '\\.')).join('|');
const oracleRegistry = new RegExp(
  `^(?:(?:${region}\\.)?ocir\\.io|(?:artifacts|ocir)\\.${region}\\.oci\\.(?:${domains}))$`,
);

/**
 * Whether an image's registry is OCIR: `<region>.ocir.io`, `<key>.ocir.io`, `ocir.io`, and
 * `artifacts.<region>.oci.<domain>` and `ocir.<region>.oci.<domain>` of every realm. Who answers yes is given a request
 * that is signed in our name, so that whatever is spelled oddly is no.
 * @param host `host` or `host:port`; a port other than 443 is Oracle's only where a further domain names it
 * @param furtherDomains `domain` or `domain:port` whose own host and hosts below are Oracle's as well, as those of a
 *   realm that is not known here; without a port it is 443
 */
export function isOracleRegistry(host: string, furtherDomains: readonly string[] = []): boolean {
  const asked = split(host);
  if (asked === undefined) return false;
  if (asked.port === httpsPort && oracleRegistry.test(asked.name)) return true;
  return furtherDomains.some((entry) => {
    const domain = split(entry);
    if (domain === undefined) return false;
    const isBelow = asked.name === domain.name || asked.name.endsWith(`.${domain.name}`);
    return isBelow && domain.port === asked.port;
  });
}

/**
 * Where a registry is asked with what proves who we are. `protocol` is for further domains: in the clear the token for
 * one of Oracle's own hosts is anybody's who listens.
 */
export const registryOrigin = (host: string, protocol: 'https' | 'http' = 'https'): string =>
  `${isOracleRegistry(host) ? 'https' : protocol}://${host}`;

function split(text: string): { name: string; port: string } | undefined {
  const [, host = '', port = httpsPort] = /^(.*?)(?::(\d{1,5}))?$/s.exec(text) ?? [];
  const name = canonicalHost(host);
  return name === undefined ? undefined : { name, port };
}
