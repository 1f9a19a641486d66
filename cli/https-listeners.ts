import { createServer } from 'node:https';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { hotReload } from '../certs/hot-reload.ts';
import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { drainable } from '../platform/drain.ts';
import { buildWebhook, type WebhookDependencies } from '../webhook/server.ts';
import { type ListenAddress, listen } from './listen-address.ts';
import type { Listening } from './management-listener.ts';

/** The API server and the agents are near: who takes longer is neither. */
const handshakeMs = 10_000;

/** Starts the webhook with a certificate that may change. */
export async function startWebhook(
  dependencies: WebhookDependencies,
  certificate: ServingCertificate,
  address: ListenAddress,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  const webhook: FastifyInstance = buildWebhook({ ...dependencies, https: { handshakeTimeout: handshakeMs } });
  parts.defer(() => webhook.close());
  parts.defer(hotReload(webhook.server as unknown as TlsServer, certificate));
  await webhook.ready();
  const drain = drainable(webhook.server);
  const listening = await listen(webhook.server, address);
  parts.defer(() => drain(0));
  return { address: listening, drain };
}

/** Starts an HTTPS server with a certificate that may change. */
export async function startHttps(
  onRequest: Parameters<typeof createServer>[1],
  certificate: ServingCertificate,
  address: ListenAddress,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  const options = { handshakeTimeout: handshakeMs, keepAliveTimeout: 75_000, maxHeaderSize: 65_536 };
  const server = createServer(options, (request, response) => {
    // A connection that stays open would keep a draining server waiting.
    if (!server.listening) response.shouldKeepAlive = false;
    onRequest?.(request, response);
  });
  parts.defer(hotReload(server, certificate));
  const drain = drainable(server);
  const listening = await listen(server, address);
  parts.defer(() => drain(0));
  return { address: listening, drain };
}
