import type { Server } from 'node:tls';
import type { ServingCertificate } from './serving-certificate.ts';

/**
 * Keeps a TLS or HTTPS server on the current certificate: new handshakes get it, open connections stay as they are.
 * TLS 1.2 at least. The server may be made without a certificate and may listen already. Returns a function that ends
 * this.
 */
export function hotReload(server: Server, certificate: ServingCertificate): () => void {
  const apply = () => server.setSecureContext({ ...certificate.current, minVersion: 'TLSv1.2' });
  apply();
  return certificate.onChange(apply);
}
