import { createSecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { dialer } from '../http1/connect.ts';
import { type Connect, OriginPool } from '../http1/origin-pool.ts';
import { readBuffers } from '../read-buffers.ts';

const connectMs = 5_000;
const answerMs = 60_000;
/** Shorter than the centre's, which would close a connection just as it is used. */
const keepAliveMs = 20_000;

/**
 * Connections to the centre, whose certificate has to be of the authority that `ca` holds now. Trust in the system's
 * authorities would be trust in whoever can have a certificate made for the centre's name.
 */
export function centreDispatcher(centre: string, ca: () => string): Dispatcher {
  const origin = new URL(centre);
  let trusted: { readonly ca: string; readonly connect: Connect } | undefined;
  const connectNow = (): Connect => {
    const now = ca();
    // Without any, Node would trust the system's.
    if (now.trim() === '') throw new Error('there is no certificate to trust the centre by');
    if (trusted?.ca !== now) {
      const secureContext = createSecureContext({ ca: now, minVersion: 'TLSv1.2' });
      trusted = { ca: now, connect: dialer({ origin, connectMs, readBuffers, secureContext }) };
    }
    return trusted.connect;
  };
  return new OriginPool(origin.origin, {
    connect: (receive, callback) => {
      try {
        return connectNow()(receive, callback);
      } catch (error) {
        const telling = setImmediate(() => callback(error as Error));
        return () => clearImmediate(telling);
      }
    },
    headersMs: answerMs,
    idleBodyMs: answerMs,
    keepAliveMs,
  });
}
