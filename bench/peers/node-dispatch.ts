/** The least that Node can do: `node:http` in front, undici's dispatch behind. `node node-dispatch.ts ORIGIN AUTHORIZATION` */
import { createServer } from 'node:http';
import { Pool } from 'undici';
import { listen } from './node-listen.ts';
import { relay } from './node-relay.ts';

const [origin = '', authorization = ''] = process.argv.slice(2);
const pool = new Pool(origin, { allowH2: false });
const server = createServer((request, response) => relay(pool, authorization, request, response));
await listen(server);
