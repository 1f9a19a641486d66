import { createServer } from 'node:https';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { hotReload } from '../certs/hot-reload.ts';
import type { ServingCertificate } from '../certs/serving-certificate.ts';
import { limitConnections } from '../platform/connection-limit.ts';
import { drainable } from '../platform/drain.ts';
import { buildWebhook, type WebhookDependencies } from '../webhook/server.ts';
import { type ListenAddress, listen } from './listen-address.ts';
import type { Listening } from './management-listener.ts';

/** The API server and the agents are near: who takes longer is neither. */
const handshakeMs = 10_000;
/** How often unfinished requests are looked for; Node's own half a minute is a long time to hold what is for all. */
const checkEveryMs = 1_000;
/** A connection on which nothing moves for this long is cut. */
const idleMs = 300_000;

/** Starts the webhook with a certificate that may change. */
export async function startWebhook(
  dependencies: WebhookDependencies,
  certificate: ServingCertificate,
  address: ListenAddress,
  parts: AsyncDisposableStack,
): Promise<Listening> {
  const webhook: FastifyInstance = buildWebhook({
    ...dependencies,
    https: { handshakeTimeout: handshakeMs, connectionsCheckingInterval: checkEveryMs },
  });
  parts.defer(() => webhook.close());
  parts.defer(hotReload(webhook.server as unknown as TlsServer, certificate));
  await webhook.ready();
  limitConnections(webhook.server, { total: 2_000, perAddress: 500 });
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
  const options = {
    handshakeTimeout: handshakeMs,
    headersTimeout: handshakeMs,
    keepAliveTimeout: 75_000,
    // Two tokens, and what a registry client sends.
    maxHeaderSize: 49_152,
  };
  const server = createServer(options, (request, response) => {
    // A connection that stays open would keep a draining server waiting.
    if (!server.listening) response.shouldKeepAlive = false;
    onRequest?.(request, response);
  });
  server.setTimeout(idleMs);
  limitConnections(server, { total: 20_000, perAddress: 1_000 });
  parts.defer(hotReload(server, certificate));
  const drain = drainable(server);
  const listening = await listen(server, address);
  parts.defer(() => drain(0));
  return { address: listening, drain };
}
