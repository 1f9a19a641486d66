import { createSecureContext, type SecureContext } from 'node:tls';
import { buildConnector, type Dispatcher, Pool } from 'undici';

const connectMs = 5_000;
const headersMs = 60_000;

/**
 * Connections to the centre, whose certificate has to be of the authority that `ca` holds now. Trust in the system's
 * authorities would be trust in whoever can have a certificate made for the centre's name.
 */
export function centreDispatcher(centre: string, ca: () => string): Dispatcher {
  let trusted: { readonly ca: string; readonly context: SecureContext } | undefined;
  const contextNow = (): SecureContext => {
    const now = ca();
    // Without any, Node would trust the system's.
    if (now.trim() === '') throw new Error('there is no certificate to trust the centre by');
    if (trusted?.ca !== now) trusted = { ca: now, context: createSecureContext({ ca: now, minVersion: 'TLSv1.2' }) };
    return trusted.context;
  };
  return new Pool(centre, {
    allowH2: false,
    connections: null,
    headersTimeout: headersMs,
    bodyTimeout: headersMs,
    // Shorter than the centre's, which would close a connection just as it is used.
    keepAliveTimeout: 20_000,
    maxHeaderSize: 65_536,
    connect: (options, callback) => {
      try {
        buildConnector({ secureContext: contextNow(), timeout: connectMs, allowH2: false })(options, callback);
      } catch (error) {
        callback(error as Error, null);
      }
    },
  });
}
