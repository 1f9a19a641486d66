/** The same as node-dispatch.ts inside a fastify route: what the framework costs. */
import fastify from 'fastify';
import { Pool } from 'undici';
import { listen } from './node-listen.ts';
import { relay } from './node-relay.ts';

const [origin = '', authorization = ''] = process.argv.slice(2);
const pool = new Pool(origin, { allowH2: false });
const app = fastify();
app.get('/v2/*', (request, reply) => {
  reply.hijack();
  relay(pool, authorization, request.raw, reply.raw);
});
await app.ready();
await listen(app.server);
