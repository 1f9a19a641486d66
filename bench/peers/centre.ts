/**
 * A centre for agents, as tests build it: its API server is a table, and it writes no audit lines. Prints in one line
 * what an agent of its has to know. `node centre.ts REGISTRY_URL [CA_FILE]`
 */
import { readFileSync } from 'node:fs';
import { makeCluster, makeServing, startCentre } from '../../test/proxy/support/centre.ts';
import { connectorTo } from '../../test/support/proxy.ts';

/** What `agent.ts` is told. */
export interface CentreFacts {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
  readonly agentToken: string;
  readonly callerToken: string;
}

const [url = '', caFile = ''] = process.argv.slice(2);
const ca = caFile === '' ? {} : { ca: readFileSync(caFile, 'utf8') };
const login = { username: 'bench', password: 'bench-password' };
const cluster = makeCluster(connectorTo(url, { key: 'bench/origin', ...login, ...ca }));
const serving = await makeServing();
const centre = await startCentre({ cluster, serving });
const facts: CentreFacts = {
  port: centre.port,
  ca: serving.ca,
  agentToken: cluster.agentToken('node'),
  callerToken: cluster.api.login({ username: 'system:serviceaccount:bench:default' }),
};
process.stdout.write(`${JSON.stringify(facts)}\n`);
