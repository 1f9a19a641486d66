/**
 * Measures the controller in a cluster of many connectors and namespaces: `npm run bench:sync -- [flags]`, see
 * README.md. The API server and etcd are real, the program is the bundle. Prints Markdown; exits with 1 when something
 * is not as it has to be.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bundle } from '../deploy/bundle.ts';
import { type Registry, startRegistry } from '../test/support/registry.ts';
import { interrupted } from './interrupted.ts';
import { describeHardware } from './machine.ts';
import { measureChanges } from './sync/changes.ts';
import { type BenchCluster, createAll, openCluster } from './sync/cluster.ts';
import { connectorsOf, namespacesOf, type Size } from './sync/content.ts';
import { measureIdle } from './sync/idle.ts';
import { Progress } from './sync/progress.ts';
import { type Replica, startReplica } from './sync/replica.ts';
import { defectsOf, format, type SyncResults, writesBetween } from './sync/report.ts';

const options = {
  connectors: { type: 'string', default: '10000' },
  namespaces: { type: 'string', default: '5000' },
  wrong: { type: 'string', default: '300' },
  registries: { type: 'string', default: '8' },
  'idle-minutes': { type: 'string', default: '6' },
  profile: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;
type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

const usage = `npm run bench:sync -- [flags]
  --connectors N    connectors that are well, with a Secret each (10000)
  --namespaces N    half of them opt in (5000)
  --wrong N         further connectors that are wrong, each kind in turn (300)
  --registries N    registries that the connectors are for (8)
  --idle-minutes N  how long to watch the cluster at rest (6: each connector is probed once)
  --profile DIR     the controllers write CPU profiles into DIR, which costs them some speed
`;

const credential = { username: 'robot', password: 'right' };
const longMs = 1_200_000;
const afterTakeoverMs = 30_000;
/** Writes a second of a cluster at rest: leases, and what is no work of ours. */
const quietPerSecond = 5;

const say = (line: string): void => {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
};

function sizeOf(flags: Flags): Size {
  const number = (name: 'connectors' | 'namespaces' | 'wrong'): number => {
    const value = Number(flags[name]);
    if (Number.isInteger(value) && value >= 0) return value;
    throw new Error(`--${name} is a number`);
  };
  const namespaces = number('namespaces');
  return { namespaces, optedIn: namespaces >> 1, connectors: number('connectors'), wrong: number('wrong') };
}

async function openRegistries(number: number, parts: AsyncDisposableStack): Promise<string[]> {
  const registries: Registry[] = [];
  for (let at = 0; at < number; at += 1) {
    registries.push(parts.use(await startRegistry({ auth: { kind: 'token', ...credential } })));
  }
  return registries.map(({ origin }) => origin);
}

/** The cluster with its content, at rest: without the product so far. */
async function fill({ client, metrics }: BenchCluster, size: Size, origins: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await createAll(client, namespacesOf(size));
  await createAll(client, connectorsOf(size, origins, credential));
  const seconds = (performance.now() - startedAt) / 1000;
  say(`created in ${seconds.toFixed(0)} s; now Kubernetes' own controllers have their work with the namespaces`);
  await metrics.untilQuiet(quietPerSecond, longMs);
  return seconds;
}

/** The first replica, until it has written everything there is to write. */
async function measureStart(cluster: BenchCluster, size: Size, progress: Progress, start: () => Promise<Replica>) {
  const { metrics } = cluster;
  const before = await metrics.sample();
  const leader = await start();
  const atReady = await metrics.sample();
  say(`ready after ${leader.ready.seconds.toFixed(1)} s`);
  const seconds = (at: number): number => (at - leader.startedAt) / 1000;
  const all = size.connectors + size.wrong;
  const [told, decided, pullSecrets] = await Promise.all([
    progress.until('every connector has a Ready condition', (seen) => seen.told === all, longMs),
    progress.until('every connector is known to be ready or not', (seen) => seen.decided === all, longMs),
    progress.until('every namespace has its pull secret', (seen) => seen.pullSecrets === size.optedIn, longMs),
  ]);
  const atDone = await metrics.sample();
  const { rssMaxBytes, cpuSeconds } = leader.usage();
  say(`all is written after ${seconds(Math.max(decided, pullSecrets)).toFixed(0)} s`);
  return {
    leader,
    api: { before, atReady, atDone },
    toldSeconds: seconds(told),
    decidedSeconds: seconds(decided),
    pullSecretsSeconds: seconds(pullSecrets),
    atDone: { rssMaxBytes, cpuSeconds },
    reasons: new Map(progress.ready),
  };
}

/** Ends the leader, as an update would. */
async function measureTakeover(
  { metrics }: BenchCluster,
  leader: Replica,
  other: Replica,
): Promise<SyncResults['takeover']> {
  const startedAt = performance.now();
  const [ledAt] = await Promise.all([other.leads(), leader.stop()]);
  const before = await metrics.sample();
  await delay(afterTakeoverMs);
  const after = await metrics.sample();
  return {
    seconds: (ledAt - startedAt) / 1000,
    afterSeconds: (after.at - before.at) / 1000,
    writes: writesBetween(before, after),
    rssMaxBytes: other.usage().rssMaxBytes,
  };
}

async function run(flags: Flags, folder: string, parts: AsyncDisposableStack): Promise<SyncResults> {
  const size = sizeOf(flags);
  const origins = await openRegistries(Number(flags.registries), parts);
  const { folder: program } = await bundle(join(folder, 'program'));
  const cluster = await openCluster(folder, parts);
  const { client, metrics, controllerKubeconfig: kubeconfig } = cluster;
  say(`the cluster is there; ${size.namespaces} namespaces and ${size.connectors + size.wrong} connectors are created`);
  const creationSeconds = await fill(cluster, size, origins);
  const progress = parts.use(new Progress(client));
  await progress.synced();

  const start = async (identity: string): Promise<Replica> => {
    const replica = await startReplica({ program, kubeconfig, identity, profiles: flags.profile });
    parts.defer(() => replica.stop());
    return replica;
  };
  const { leader, api, ...started } = await measureStart(cluster, size, progress, () => start('one'));
  await metrics.untilQuiet(quietPerSecond, longMs);
  const changes = await measureChanges({ client, progress, size, origins, credential });
  const other = await start('two');
  say(`the second replica is ready after ${other.ready.seconds.toFixed(1)} s; now nothing changes any more`);
  if (other.isLeading) throw new Error('two replicas lead');
  const withSecond = await metrics.sample();
  await metrics.untilQuiet(quietPerSecond, longMs);
  const idle = await measureIdle([leader, other], metrics, Number(flags['idle-minutes']));
  const takeover = await measureTakeover(cluster, leader, other);
  const warnings = [leader, other].flatMap((replica) => replica.warnings());
  const ready = { first: leader.ready, second: other.ready };
  return {
    size,
    creationSeconds,
    ...ready,
    ...started,
    api: { ...api, withSecond },
    changes,
    idle,
    takeover,
    warnings,
  };
}

function describeMachine(load: readonly number[]): string {
  const date = new Date().toISOString().slice(0, 10);
  const loads = load.map((value) => value.toFixed(1)).join(' ');
  return `${date}, ${describeHardware()}, load before the run ${loads}; Node ${process.versions.node}`;
}

async function main(args: string[]): Promise<number> {
  const { values: flags } = parseArgs({ args, options });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const ending = interrupted();
  const machine = describeMachine(loadavg());
  const folder = mkdtempSync(join(tmpdir(), 'oci-connector-bench-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const results = await Promise.race([run(flags, folder, parts), ending]);
  const command = ['npm run bench:sync', ...(args.length === 0 ? [] : ['--', ...args])].join(' ');
  process.stdout.write(`${format(results, machine, command)}\n`);
  for (const line of results.warnings.slice(0, 20)) say(line);
  const defects = defectsOf(results);
  for (const defect of defects) say(`wrong: ${defect}`);
  return defects.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// A run that was interrupted is still waiting for something that will not come.
process.exit();
