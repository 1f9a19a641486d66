import type { SecureContext, Server } from 'node:tls';
import type { Interception } from './interception.ts';

/** Of `tls.createServer`: finds the certificate for the name that a client says it calls. */
export type SniCallback = (servername: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** How often to look whether the certificate for clients that name nobody is due: often enough for lives of an hour. */
const fallbackCheckMs = 60_000;

/**
 * Certificates of the `interception` authority for the hosts that `isServed`, by the name that a client calls. The
 * connection of a client that calls any other name is cut, before anything is made for it.
 */
export function sniFor(
  interception: Pick<Interception, 'secureContextFor'>,
  isServed: (host: string) => boolean,
): SniCallback {
  return (servername, done) => {
    if (!isServed(servername.toLowerCase())) {
      return done(new Error('unrecognized_name: this host is not served here'));
    }
    interception.secureContextFor(servername).then(
      (context) => done(null, context),
      (error: Error) => done(error),
    );
  };
}

export interface FallbackOptions {
  /** DNS name or IP address of the certificate that clients get who name nobody, as those do that call an IP address. */
  readonly fallbackHost: string;
  readonly checkEveryMs?: number;
  /** Told why there was no new one. The current certificate goes on. */
  readonly onError: (error: unknown) => void;
}

/**
 * Keeps a TLS or HTTPS server on a certificate for clients without SNI. Returns a function that ends this. Rejects where
 * the host can have none.
 */
export async function serveFallback(
  server: Server,
  interception: Pick<Interception, 'keyPairFor'>,
  { fallbackHost, checkEveryMs = fallbackCheckMs, onError }: FallbackOptions,
): Promise<() => void> {
  let served = '';
  const apply = async () => {
    const pair = await interception.keyPairFor(fallbackHost);
    if (pair.cert === served) return;
    server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
    served = pair.cert;
  };
  await apply();
  const timer = setInterval(() => apply().catch(onError), checkEveryMs).unref();
  return () => clearInterval(timer);
}
