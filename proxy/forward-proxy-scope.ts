import { type ConnectorKey, formatKey } from '../connectors/address.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import type { TunnelHost } from '../connectors/tunnel-hosts.ts';
import { findTunnelHost } from '../connectors/tunnel-hosts.ts';
import type { Caller } from '../credentials/grant.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Access, Call } from './access.ts';
import { type Authority, authoritiesOf, formatAuthority, isSameAuthority } from './forward-proxy-authority.ts';

/** What a client of the forward proxy may reach. */
export interface Scope {
  readonly caller: Caller;
  /** Those of the connectors that it named which it may use, in its order. */
  readonly connectors: readonly ResolvedConnector[];
  /** Why it may not use the others. */
  readonly refusals: readonly Refusal[];
}

interface Refusal {
  readonly key: ConnectorKey;
  readonly error: ProxyError;
}

/** Failures that say nothing of rights: another attempt may go well. */
const passing: ReadonlySet<string> = new Set(['ACCESS_UNAVAILABLE', 'CONNECTOR_UNUSABLE', 'CALLER_LIMITED']);
const listedMax = 8;

/**
 * Finds out who calls, and which of `keys` that is allowed for. Whoever may only push may use a connector as well.
 * @throws ProxyError as `Access.identify`
 */
export async function openScope(
  access: Access,
  call: Call,
  keys: readonly ConnectorKey[],
  signal: AbortSignal,
): Promise<Scope> {
  const caller = await access.identify(call, signal);
  const found = await Promise.all(keys.map((key) => admitted(access, call, key, signal)));
  return {
    caller,
    connectors: found.filter((entry) => 'address' in entry),
    refusals: found.filter((entry) => 'error' in entry),
  };
}

async function admitted(
  access: Access,
  call: Call,
  key: ConnectorKey,
  signal: AbortSignal,
): Promise<ResolvedConnector | Refusal> {
  const want = { ...call, connector: key, repository: '' };
  try {
    const admission = await access.admit({ ...want, action: 'pull' }, signal).catch((error: unknown) => {
      if (!(error instanceof ProxyError) || error.code !== 'ACCESS_DENIED') throw error;
      // Who may do neither is told of the pull, which most of them meant.
      return access.admit({ ...want, action: 'push' }, signal).catch((other: unknown) => {
        throw other instanceof ProxyError && other.code === 'ACCESS_DENIED' ? error : other;
      });
    });
    return admission.connector;
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return { key, error };
  }
}

/** The connectors whose registry is at this host and port. */
export const connectorsAt = ({ connectors }: Scope, authority: Authority): readonly ResolvedConnector[] =>
  connectors.filter(({ address }) => authoritiesOf(address).some((own) => isSameAuthority(own, authority)));

/** The connector whose class lets this host be tunnelled to, and how it names the host. */
export function tunnelAt(
  { connectors }: Scope,
  { host, port }: Authority,
): { readonly connector: ResolvedConnector; readonly entry: TunnelHost } | undefined {
  const found = connectors.flatMap((connector) => {
    const entry = findTunnelHost(connector.tunnelHosts, host, port);
    return entry === undefined ? [] : [{ connector, entry }];
  });
  // An exact name may lead further inside than a wildcard.
  return found.find(({ entry }) => !entry.isWildcard) ?? found[0];
}

/** Why a host that no connector serves is refused; what may soon be another answer is no refusal of the host. */
export function refusalAt({ caller, connectors, refusals }: Scope, authority: Authority): ProxyError {
  const asked = formatAuthority(authority);
  const failed = refusals.find(({ error }) => passing.has(error.code));
  if (failed !== undefined) {
    const { code, message, headers } = failed.error;
    return new ProxyError(code, `connector ${formatKey(failed.key)}: ${message}`, { headers, caller: caller.name });
  }
  const served = connectors.map(({ key, address }) => {
    const [own] = authoritiesOf(address);
    return `${formatKey(key)} serves ${own === undefined ? 'none' : formatAuthority(own)}`;
  });
  const refused = refusals.map(({ key, error }) => `${formatKey(key)}: ${error.message}`);
  const reasons = [...served, ...refused];
  const more = reasons.length > listedMax ? ` and ${reasons.length - listedMax} more` : '';
  const message = `${asked} is no host of the connectors that were named (${reasons.slice(0, listedMax).join('; ')}${more})`;
  return new ProxyError('HOST_FORBIDDEN', message, { caller: caller.name });
}
