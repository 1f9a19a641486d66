import Fastify, { type FastifyInstance } from 'fastify';
import type { Metrics } from './metrics.ts';

export interface ManagementOptions {
  readonly metrics: Metrics;
  /** What keeps the process from being ready, in words; empty when it is. */
  readonly notReady: () => readonly string[];
}

/** Builds the listener for probes and metrics; it does not listen yet. */
export function buildManagement({ metrics, notReady }: ManagementOptions): FastifyInstance {
  const app = Fastify({ logger: false });
  app.get('/livez', () => 'ok\n');
  app.get('/readyz', (_request, reply) => {
    const reasons = notReady();
    return reply.code(reasons.length === 0 ? 200 : 503).send(reasons.length === 0 ? 'ok\n' : `${reasons.join('\n')}\n`);
  });
  app.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  return app;
}
