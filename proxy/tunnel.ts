import { lookup } from 'node:dns/promises';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { cutOff } from '../platform/cut-off.ts';
import { ProxyError } from '../platform/errors.ts';
import { inTime } from '../platform/in-time.ts';
import { toProxyError } from '../platform/network-error.ts';
import { zoneOf } from '../platform/network-zone.ts';
import { type Authority, formatAuthority } from './forward-proxy-authority.ts';

/** An IP address as `dns.lookup` gives it. */
interface Address {
  readonly address: string;
  readonly family: number;
}

export interface TunnelDialOptions {
  /** In a cluster loopback is the centre's own pod, or a node. */
  readonly isLoopbackForbidden?: boolean;
  /** All addresses of a host name. */
  readonly resolve?: (hostname: string) => Promise<readonly Address[]>;
  readonly connectMs?: number;
}

const defaultConnectMs = 10_000;
const resolveBySystem = (hostname: string): Promise<readonly Address[]> => lookup(hostname, { all: true });

/**
 * Connects to a host that the administrator lets clients tunnel to. A name that was listed exactly may be at a private
 * address, and at a loopback one where those are not forbidden; one that only a wildcard covers, whose addresses are for
 * whoever owns the domain to choose, at public ones. All addresses of a name have to be allowed, and those that were
 * checked are the ones that are dialled.
 * @throws ProxyError TARGET_FORBIDDEN, UPSTREAM_UNREACHABLE or UPSTREAM_TIMEOUT
 */
export async function dialTunnel(
  authority: Authority,
  isWildcard: boolean,
  options: TunnelDialOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const asked = formatAuthority(authority);
  const connectMs = options.connectMs ?? defaultConnectMs;
  try {
    const addresses = await addressesOf(authority.host, options, connectMs);
    signal.throwIfAborted();
    for (const { address } of addresses) check(asked, address, isWildcard, options);
    return await dial(authority, addresses, connectMs, signal);
  } catch (error) {
    throw toProxyError(error, asked);
  }
}

async function addressesOf(
  host: string,
  { resolve = resolveBySystem }: TunnelDialOptions,
  waitMs: number,
): Promise<readonly Address[]> {
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family }];
  const found = await inTime(resolve(host), waitMs);
  if (found === undefined) throw new ProxyError('UPSTREAM_TIMEOUT', `${host} was not resolved in time`);
  if (found.length === 0) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' });
  return found;
}

function check(asked: string, address: string, isWildcard: boolean, { isLoopbackForbidden }: TunnelDialOptions): void {
  const zone = zoneOf(address);
  const isInside = zone === 'private' || (zone === 'loopback' && isLoopbackForbidden !== true);
  if (zone === 'public' || (isInside && !isWildcard)) return;
  const hint = isInside ? '; only a host that is listed by its own name may be there' : '';
  throw new ProxyError('TARGET_FORBIDDEN', `${asked} is at a ${zone} address, where no tunnel may lead${hint}`);
}

function dial(
  { host, port }: Authority,
  addresses: readonly Address[],
  connectMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const checked: LookupFunction = (_hostname, { all }, callback) => {
    const [first] = addresses;
    if (all) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, lookup: checked, allowHalfOpen: true });
    const fail = (error: Error): void => {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason);
    const late = setTimeout(
      () => fail(new ProxyError('UPSTREAM_TIMEOUT', `${host} did not take the connection in time`)),
      connectMs,
    );
    signal.addEventListener('abort', onAbort);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** How a tunnel ended. */
export interface TunnelEnd {
  /** Bytes to the client. */
  readonly bytes: number;
  /** Bytes from the client. */
  readonly received: number;
  /** Who broke it; undefined where both sides ended it. */
  readonly brokenBy?: 'client' | 'host' | 'silence';
  readonly error?: Error;
}

/**
 * Carries bytes both ways until both sides have ended, one breaks, or nothing moves for `idleMs`. Either side may end
 * its own direction first, and neither is read faster than the other takes it.
 */
export async function joinTunnel(client: Socket, host: Socket, idleMs: number): Promise<TunnelEnd> {
  let broken: Pick<TunnelEnd, 'brokenBy' | 'error'> = {};
  const breakOff = (brokenBy: NonNullable<TunnelEnd['brokenBy']>, error: Error): void => {
    if (broken.error === undefined) broken = { brokenBy, error };
    cutOff(client);
    cutOff(host);
  };
  const follow = (name: 'client' | 'host', socket: Socket, other: Socket): Promise<void> => {
    socket.on('error', (error) => breakOff(name, error));
    socket.setTimeout(idleMs, () => breakOff('silence', new Error(`nothing moved for ${idleMs} ms`)));
    const closed = Promise.withResolvers<void>();
    const onClose = (): void => {
      // Where it ended its direction before, that has been said to the other side already.
      if (!other.writableEnded) breakOff(name, new Error(`the ${name} went away`));
      closed.resolve();
    };
    if (socket.destroyed) onClose();
    else socket.once('close', onClose);
    return closed.promise;
  };
  const closed = Promise.all([follow('client', client, host), follow('host', host, client)]);
  client.pipe(host);
  host.pipe(client);
  await closed;
  return { bytes: host.bytesRead, received: host.bytesWritten, ...broken };
}
