import { rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { type AddressInfo, isIP } from 'node:net';
import { zoneOf } from '../platform/network-zone.ts';
import { UsageError } from './usage-error.ts';

/** Where a listener is to be; port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `host:port` or `[ipv6]:port`.
 * @throws UsageError
 */
export function parseListenAddress(text: string, option: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  if (port === undefined || Number(port) > 65535 || host === '' || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new UsageError(`${option} is "${text}": write host:port, as 127.0.0.1:7450 or [::1]:7450`);
  }
  return { host, port: Number(port) };
}

export const formatListenAddress = ({ host, port }: ListenAddress): string =>
  isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;

export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || (isIP(host) !== 0 && zoneOf(host) === 'loopback');
}

export interface ListenOptions {
  /** Other processes of the same user may listen there too; the kernel spreads connections over them. */
  readonly reusePort?: boolean;
}

/** Starts listening and returns where, with the port that the system chose. */
export function listen(server: Server, address: ListenAddress, options: ListenOptions = {}): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const message = `cannot listen on ${formatListenAddress(address)}: ${error.code ?? error.message}`;
      reject(Object.assign(new Error(message, { cause: error }), { code: error.code }));
    };
    server.once('error', onError);
    server.listen({ port: address.port, host: address.host, ...options }, () => {
      server.off('error', onError);
      resolve({ host: address.host, port: (server.address() as AddressInfo).port });
    });
  });
}

/** Starts listening on a Unix socket and returns its path. */
export async function listenOnSocket(server: Server, path: string): Promise<string> {
  // What a container that was killed has left.
  await rm(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve(path);
    });
  });
}
