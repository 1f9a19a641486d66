import { isIP } from 'node:net';
import fc from 'fast-check';
import { formatKey, isConnectorName, isNamespaceName } from '../../connectors/address.ts';
import { findTunnelHost, parseTunnelHosts } from '../../connectors/tunnel-hosts.ts';
import { formatAuthority, parseAuthority } from '../../proxy/forward-proxy-authority.ts';
import { parseProxyAuthorization } from '../../proxy/proxy-authorization.ts';
import { labels } from '../connectors/arbitraries.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { type Fuzzed, fuzzed, mutated, promise } from './fuzzed.ts';

const users = fc
  .array(fc.tuple(labels, fc.constantFrom('/', '%2F', '%2f', '//', ''), labels), { minLength: 1, maxLength: 4 })
  .map((names) => names.map((parts) => parts.join('')).join(','));
const logins = mutated(
  fc.tuple(users, fc.constantFrom(':token', ':', '', ':a:b', ':t\r\nx')).map((parts) => parts.join('')),
);
const headers = fc.oneof(
  { weight: 5, arbitrary: logins.map((login) => `Basic ${Buffer.from(login).toString('base64')}`) },
  mutated(logins.map((login) => `basic ${Buffer.from(login).toString('base64')}`)),
);

const authorization = fuzzed(
  'Proxy-Authorization',
  fc.property(headers, (header) => {
    const parsed = parseProxyAuthorization(header);
    if (!parsed.ok) {
      const secret = /\S{24,}/.exec(header)?.[0];
      return promise(secret === undefined || !parsed.reason.includes(secret), 'a reason repeats what was sent', header);
    }
    const { connectors, token } = parsed.authorization;
    promise(token !== '' && connectors.length > 0 && connectors.length <= 32, 'nobody, or too many', parsed);
    promise(new Set(connectors.map(formatKey)).size === connectors.length, 'one of them twice', connectors);
    promise(
      connectors.every(({ namespace, name }) => isNamespaceName(namespace) && isConnectorName(name)),
      'no names',
      connectors,
    );
    const text = Buffer.from(header.trim().split(/\s+/)[1] ?? '', 'base64').toString();
    promise(text.endsWith(`:${token}`), 'another token', { text, token });
  }),
);

const hosts = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((text) => `[${text}]`),
  fc.constantFrom(
    '127.1',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    'localhost',
    '[fe80::1%25eth0]',
    '[::ffff:7f00:1]',
    'a.',
  ),
);
const authorities = mutated(
  fc.tuple(hosts, fc.constantFrom(':443', ':80', ':0', ':65536', ':00443', '', ':')).map((parts) => parts.join('')),
);

const authority = fuzzed(
  'CONNECT authority',
  fc.property(authorities, fc.constantFrom(undefined, 80, 443), (text, defaultPort) => {
    const found = parseAuthority(text, defaultPort);
    if (found === undefined) return;
    const { host, port } = found;
    promise(Number.isInteger(port) && port > 0 && port < 65_536, 'no port', found);
    promise(isIP(host) !== 0 || /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(host), 'no host', found);
    const again = parseAuthority(formatAuthority(found));
    promise(again?.host === host && again.port === port, 'two spellings', found);
    // What others understand by it: an address is the same address, and a name is none.
    const url = new URL(`http://${formatAuthority(found)}`);
    promise(url.hostname.replace(/^\[|\]$/g, '') === host, 'another host for others', {
      text,
      host,
      url: url.hostname,
    });
    promise(Number(url.port || 80) === port, 'another port for others', found);
    promise(isIP(host) !== 0 || !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(host), 'an address in an odd spelling', found);
  }),
);

const entries = fc
  .tuple(fc.constantFrom('', '*.', '**.', '*'), hosts, fc.constantFrom('', ':443', ':8443', ':0'))
  .map((parts) => parts.join(''));
const tunnelHosts = fuzzed(
  'tunnel-hosts of a ConnectorClass',
  fc.property(
    mutated(fc.array(entries, { maxLength: 4 }).map((list) => list.join(', '))),
    fc.oneof(
      hosts,
      hosts.map((host) => `sub.${host}`),
      arbitraryText(),
    ),
    fc.constantFrom(443, 8443, 0),
    (text, host, port) => {
      const { hosts: parsed } = parseTunnelHosts(text);
      for (const entry of parsed) {
        promise(entry.port > 0 && entry.port < 65_536, 'no port', entry);
        promise(!entry.isWildcard || (isIP(entry.host) === 0 && entry.host.includes('.')), 'everybody’s', entry);
        promise(text.toLowerCase().includes(entry.isWildcard ? `*.${entry.host}` : ''), 'not what was written', entry);
      }
      const found = findTunnelHost(parsed, host, port);
      if (found === undefined) return;
      const isCovered = found.isWildcard
        ? host.endsWith(`.${found.host}`) && host.length > found.host.length + 1
        : host === found.host;
      promise(isCovered && found.port === port, 'a host that is not listed', { host, found });
    },
  ),
);

export const forwardProxy: readonly Fuzzed[] = [authorization, authority, tunnelHosts];
