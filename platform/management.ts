import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';

export interface ManagementOptions {
  readonly metrics: Metrics;
  /** What keeps the process from being ready, in words; empty when it is. */
  readonly notReady: () => readonly string[];
}

/**
 * Builds the listener for probes and metrics; it does not listen yet. It is plain `node:http`: a framework would be a
 * third of an agent's memory.
 */
export function buildManagement({ metrics, notReady }: ManagementOptions): Server {
  const answers: Readonly<Record<string, (response: ServerResponse) => void | Promise<void>>> = {
    '/livez': (response) => send(response, 200, 'ok\n'),
    '/readyz': (response) => {
      const reasons = notReady();
      send(response, reasons.length === 0 ? 200 : 503, reasons.length === 0 ? 'ok\n' : `${reasons.join('\n')}\n`);
    },
    '/metrics': async (response) => send(response, 200, await metrics.registry.metrics(), metrics.registry.contentType),
  };
  return createServer({ headersTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const answer = isRead && Object.hasOwn(answers, path) ? answers[path] : undefined;
    if (answer === undefined) return send(response, 404, `there is GET ${Object.keys(answers).join(', ')}\n`);
    Promise.resolve(answer(response)).catch(() => response.destroy());
  });
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}
