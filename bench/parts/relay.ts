import { join } from 'node:path';
import { firstLine } from '../children.ts';
import { startOrigin } from '../origin.ts';
import type { Findings, Part, PartContext } from '../part.ts';
import { type Peer, repositoryPath } from '../peers.ts';
import { figuresTable, measureProxies, ratiosTable } from './proxies.ts';

const beside = 'agent, straight to the registry';

/**
 * A node's agent whose registry gives tokens that may leave the centre, beside one whose registry does not, so that its
 * requests go through the centre.
 */
export const relay: Part = {
  name: 'relay',
  title: 'An agent that may go straight to the registry, and one that goes through the centre',
  async run(context): Promise<Findings> {
    const peers = [
      await startPair(beside, narrowToken(), context),
      await startPair('agent, through the centre (CPU of both)', undefined, context),
    ];
    const measured = await measureProxies(peers, context);
    for (const peer of peers) await peer.stop();
    return { markdown: `${figuresTable(measured)}\n\n${ratiosTable(measured, beside)}`, failures: [] };
  },
};

/** A registry with this token, a centre and an agent of its. */
async function startPair(name: string, token: string | undefined, context: PartContext): Promise<Peer> {
  const { children, isTls, folder } = context;
  const origin = await startOrigin(children, join(folder, token === undefined ? 'opaque' : 'narrow'), isTls, token);
  const program = (file: string): string => join(import.meta.dirname, '../peers', file);
  const centre = children.start(process.execPath, [program('centre.ts'), origin.url, origin.caFile ?? '']);
  const line = await firstLine(centre, 'centre');
  const agent = children.start(process.execPath, [program('agent.ts'), line]);
  const url = await firstLine(agent, 'agent');
  return {
    name,
    pid: agent.pid ?? 0,
    otherPids: [centre.pid ?? 0],
    repositoryUrl: `${url}/v2/${repositoryPath}`,
    authorization: `Bearer ${(JSON.parse(line) as { callerToken: string }).callerToken}`,
    stop: async () => {
      await children.stop(agent);
      await children.stop(centre);
    },
  };
}

/** A token that says what it is for, as registries of the token specification give; nobody here checks its signature. */
function narrowToken(): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const access = [{ type: 'repository', name: 'team/app', actions: ['pull'] }];
  const claims = { access, exp: Math.floor(Date.now() / 1000) + 14 * 60 };
  return `${encode({ alg: 'RS256' })}.${encode(claims)}.${'signature'.padEnd(300, 'x')}`;
}
