import type { Server as TlsServer } from 'node:tls';
import type { Interception } from '../certs/interception.ts';
import { serveFallback, sniFor } from '../certs/sni.ts';
import { buildProxy, type ProxyListener, type ProxyOptions } from '../proxy/listener.ts';
import { type ListenAddress, listen } from './listen-address.ts';
import type { Listening } from './management-listener.ts';

const handshakeMs = 10_000;

/** How the proxy's HTTPS listener shows who it is. */
export interface HttpsOptions {
  readonly interception: Pick<Interception, 'secureContextFor' | 'keyPairFor'>;
  /** Whether there is a certificate for this name, in lower case. */
  readonly isServed: (host: string) => boolean;
  /** Whose certificate clients get who name nobody. */
  readonly fallbackHost: string;
  readonly onError: (error: unknown) => void;
}

/** Starts the proxy for plain HTTP. */
export function startHttpProxy(
  options: ProxyOptions,
  address: ListenAddress,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  return start(buildProxy(options), address, parts);
}

/** Starts the proxy for HTTPS: the same for its callers, but that their tokens do not travel in clear. */
export async function startHttpsProxy(
  options: ProxyOptions,
  { interception, isServed, fallbackHost, onError }: HttpsOptions,
  address: ListenAddress,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  const tls = { SNICallback: sniFor(interception, isServed), handshakeTimeout: handshakeMs };
  const proxy = buildProxy({ ...options, tls });
  const server = proxy.server as unknown as TlsServer;
  parts.defer(await serveFallback(server, interception, { fallbackHost, onError }));
  return start(proxy, address, parts);
}

async function start(proxy: ProxyListener, address: ListenAddress, parts: AsyncDisposableStack): Promise<Listening> {
  const listening = await listen(proxy.server, address);
  parts.defer(() => proxy.drain(0));
  return { address: listening, drain: proxy.drain };
}
