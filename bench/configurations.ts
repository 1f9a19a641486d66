/**
 * Measures what client configurations cost the centre: `node bench/configurations.ts`. Prints Markdown. Only our own
 * part: who asks is known, as it is to a centre that has just reviewed the token.
 */
import { buildCatalogue } from '../connectors/catalogue.ts';
import type { ConfigurationWant } from '../connectors/configurations/protocol.ts';
import { connectorApiVersion, type Document } from '../connectors/schema.ts';
import type { Access } from '../proxy/access.ts';
import { type ConfigurationSources, renderVolume, volumeRevisions } from '../proxy/agent-configurations.ts';
import { table } from './table.ts';

const nodes = 10_000;
const volumesPerNode = 20;
/** A node asks for revisions this often, and the kubelet brings a new token after this long, in seconds. */
const revisionsEvery = 150;
const tokensEvery = 0.8 * 1800;
const measureMs = 2_000;

const connectorNames = Array.from({ length: 50 }, (_, at) => `registry-${at}`);
const documents = connectorNames.map((name): Document => {
  const spec = { connectorClassName: 'oci', address: `https://${name}.example.com` };
  return { apiVersion: connectorApiVersion, kind: 'Connector', metadata: { namespace: 'demo', name }, spec };
});
const store = { catalogue: buildCatalogue(documents) };
const access: Access = {
  identify: async () => ({ name: 'bench' }),
  admit: async ({ connector: key }) => {
    const connector = store.catalogue.connector(key);
    if (connector === undefined) throw new Error('no connector');
    return { caller: { name: 'bench' }, connector, grants: { grant: async () => ({ kind: 'anonymous' }) } };
  },
};
const sources: ConfigurationSources = {
  store,
  access,
  caBundle: () => `-----BEGIN CERTIFICATE-----\n${'a'.repeat(800)}\n-----END CERTIFICATE-----\n`,
  clusterDomain: 'cluster.local',
};

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = { aud: ['oci-connector'], exp: Math.floor(Date.now() / 1000) + 1800, sub: 'x' };
const token = `${encode({ alg: 'RS256' })}.${encode(claims)}.${'s'.repeat(340)}`;
const wantOf = (connectors: number): ConfigurationWant => ({
  connectors: connectorNames.slice(0, connectors).map((name) => ({ namespace: 'demo', name })),
  names: ['registry-config', 'containers', 'buildkitd'],
  excluded: [],
  params: {},
});

/** Microseconds of CPU that one call takes. */
async function costOf(call: () => unknown): Promise<number> {
  const spend = async (ms: number): Promise<number> => {
    let calls = 0;
    const before = process.cpuUsage();
    for (const end = performance.now() + ms; performance.now() < end; calls += 1) await call();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  };
  await spend(measureMs / 4);
  return spend(measureMs);
}

const { signal } = new AbortController();
const ask = (connectors: number) => {
  const question = { token, want: wantOf(connectors), isRefresh: true };
  return () => renderVolume(question, { address: '10.0.0.1', node: 'n1' }, sources, signal);
};
const wants = Array.from({ length: volumesPerNode }, (_, at) => wantOf(1 + (at % 3)));
const costs = {
  one: await costOf(ask(1)),
  eight: await costOf(ask(8)),
  revisions: await costOf(() => volumeRevisions(wants, sources)),
};
const renders = (nodes * volumesPerNode) / tokensEvery;
const questions = nodes / revisionsEvery;
const load = (perSecond: number, microseconds: number): string[] => [
  perSecond.toFixed(0),
  microseconds.toFixed(0),
  `${((perSecond * microseconds) / 10_000).toFixed(1)} %`,
];
const rows = [
  ['a volume of one connector', ...load(renders, costs.one)],
  ['a volume of eight', ...load(renders, costs.eight)],
  [`the revisions of a node's ${volumesPerNode} volumes`, ...load(questions, costs.revisions)],
];
const head = ['', `asked a second by ${nodes} nodes × ${volumesPerNode} volumes`, 'CPU µs each', 'of one core'];
process.stdout.write(`${table(head, rows)}\n`);
