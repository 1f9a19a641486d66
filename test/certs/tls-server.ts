import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { onTestFinished } from 'vitest';
import { hotReload } from '../../certs/hot-reload.ts';
import type { ServingCertificate } from '../../certs/serving-certificate.ts';

/** An HTTPS server on a free loopback port, kept on `certificate`. It goes with the test. */
export async function listen(certificate: ServingCertificate, onRequest: RequestListener): Promise<Server> {
  const server = createServer(onRequest);
  hotReload(server, certificate);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** The serial number of the certificate that a new connection meets. Rejects where the client does not trust it. */
export async function handshake(server: Server, ca: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: portOf(server), ca, servername: 'localhost', ...options });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}
