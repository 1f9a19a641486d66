/**
 * Measures what client configurations cost the centre, and how often it asks the API server because of them:
 * `node bench/configurations.ts`. Prints Markdown. Of the CPU time only our own part: who asks is known there, as it is to
 * a centre that has just reviewed the token.
 */
import { buildCatalogue } from '../connectors/catalogue.ts';
import { LastConfigurations } from '../connectors/configurations/last-configurations.ts';
import type { ConfigurationWant } from '../connectors/configurations/protocol.ts';
import { callerAudience } from '../connectors/pull-identity.ts';
import { connectorApiVersion, type Document } from '../connectors/schema.ts';
import type { Access } from '../proxy/access.ts';
import { agentReviews } from '../proxy/agent-api.ts';
import {
  type ConfigurationSources,
  renderVolume,
  volumeReviewsMax,
  volumeRevisions,
} from '../proxy/agent-configurations.ts';
import { TokenReviews, type TokenReviewsOptions } from '../proxy/token-reviews.ts';
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
  last: new LastConfigurations(),
  caBundle: () => `-----BEGIN CERTIFICATE-----\n${'a'.repeat(800)}\n-----END CERTIFICATE-----\n`,
  clusterDomain: 'cluster.local',
};

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenFor = (aud: string, jti: string, lifeSeconds: number, nowMs = Date.now()): string => {
  const claims = { aud: [aud], exp: Math.floor(nowMs / 1000) + lifeSeconds, sub: 'x', jti };
  return `${encode({ alg: 'RS256' })}.${encode(claims)}.${'s'.repeat(340)}`;
};
const token = tokenFor(callerAudience, 'x', 1800);
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

interface Call {
  readonly node: number;
  readonly token: string;
}

/** TokenReviews a second for the calls of the second half of an hour; the clock is ours. */
async function reviewsOf(
  calls: (second: number, now: number) => Iterable<Call>,
  options: Pick<TokenReviewsOptions, 'audience' | 'max' | 'acceptedMs'>,
): Promise<number> {
  const startAt = Date.now();
  let now = startAt;
  let reviews = 0;
  const status = { authenticated: true, audiences: [options.audience], user: { username: 'x' } };
  const client = {
    post: async <T>() => {
      reviews += 1;
      return { status } as T;
    },
  };
  const tokens = new TokenReviews({ ...options, client, now: () => now });
  let before = 0;
  for (let second = 0; second < 1800; second += 1) {
    if (second === 900) before = reviews;
    now = startAt + second * 1000;
    for (const { node, token: sent } of calls(second, now)) {
      await tokens.identify(sent, { address: `n${node}`, node: `n${node}` }, signal);
    }
  }
  return (reviews - before) / 900;
}

/** Every node asks at its own time, and its volumes at theirs. */
const isDue = (second: number, every: number, at: number): boolean =>
  Math.floor((second + 1 + at) / every) > Math.floor((second + at) / every);

const driverTokens = Array.from({ length: nodes }, (_, node) => tokenFor(agentReviews.audience, `n${node}`, 3600));
const phases = driverTokens.map(() => Math.random() * 1800);
function* driverCalls(second: number): Iterable<Call> {
  for (const [node, sent] of driverTokens.entries()) {
    const phase = phases[node] ?? 0;
    const call = { node, token: sent };
    if (isDue(second, revisionsEvery, phase)) yield call;
    if (isDue(second, tokensEvery / volumesPerNode, phase * 7)) yield call;
  }
}
function* podCalls(second: number, now: number): Iterable<Call> {
  for (const [node, phase] of phases.entries()) {
    if (!isDue(second, tokensEvery / volumesPerNode, phase * 7)) continue;
    yield { node, token: tokenFor(callerAudience, `${node} ${second}`, 1800, now) };
  }
}

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

const { audience } = agentReviews;
const volumes = { audience: callerAudience, max: volumeReviewsMax };
const asked = [
  ["drivers' own tokens", await reviewsOf(driverCalls, agentReviews)],
  ["the same, remembered as callers' are", await reviewsOf(driverCalls, { audience })],
  ["pods' tokens", await reviewsOf(podCalls, volumes)],
] as const;
const reviewRows = asked.map(([what, perSecond]) => [what, perSecond.toFixed(0)]);
process.stdout.write(`\n${table(['', 'TokenReviews a second'], reviewRows)}\n`);
