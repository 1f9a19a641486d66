/** A node's agent, as tests build it. Prints its address. `node agent.ts CENTRE_FACTS` */
import { startAgent } from '../../test/proxy/support/centre.ts';
import type { CentreFacts } from './centre.ts';

const facts = JSON.parse(process.argv[2] ?? '') as CentreFacts;
const agent = await startAgent({ port: facts.port, ca: facts.ca, token: facts.agentToken });
process.stdout.write(`${agent.origin}\n`);
