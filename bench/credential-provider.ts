/**
 * Measures what the kubelet waits for: `node bench/credential-provider.ts [--rounds 50]`, see README.md. The
 * plugin is the executable; Oracle's cloud is that of the tests, in this process. Prints Markdown; exits with 1 where
 * invocations at the same time ask for more than one token.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildExecutable } from '../deploy/executable/build.ts';
import { ownArchitecture } from '../deploy/executable/node-binary.ts';
import { type OracleCloud, startOracleCloud } from '../test/support/oracle/cloud.ts';
import { Children } from './children.ts';
import { interrupted } from './interrupted.ts';
import { invokePlugins, type Sample } from './invocations.ts';
import { describeHardware } from './machine.ts';
import { buildPrograms } from './programs.ts';
import { median, medianRatio, table } from './table.ts';

const together = 50;
const apiVersion = 'credentialprovider.kubelet.k8s.io/v1';

/** What a single executable of Node costs that does nothing else. */
const constantProgram = `
const { readFileSync, writeSync } = require('node:fs');
readFileSync(0);
writeSync(1, '{"kind":"CredentialProviderResponse","auth":{"registry.example.com":{"username":"u","password":"p"}}}\\n');
`;

type Plugin = readonly [name: string, command: readonly string[]];

/** @returns the folder of the programs in Go, and a bare and our own executable */
async function build(children: Children, folder: string) {
  await buildPrograms(children, join(folder, 'peers'));
  const architecture = ownArchitecture();
  const program = { main: constantProgram, early: {}, late: {}, licences: '', inputs: {} };
  const bare = await buildExecutable({ architecture, output: join(folder, 'bare'), program });
  const ours = await buildExecutable({ architecture, output: join(folder, 'ours') });
  return { peers: join(folder, 'peers'), bare: bare.file, ours: ours.file };
}

/** Writes a configuration that leads to the cloud. @param cacheDir in memory, or none */
function configure(folder: string, name: string, cacheDir: string, cloud: OracleCloud): string {
  const { registryProtocol, ...oracle } = cloud.settings;
  const file = join(folder, `${name}.yaml`);
  const log = { file: join(folder, 'log', `${name}.log`) };
  const domains = [cloud.registryHost];
  writeFileSync(file, JSON.stringify({ cacheDir, log, registryProtocol, oracle: { ...oracle, domains } }));
  return `--config=${file}`;
}

function format(plugins: readonly Plugin[], samples: readonly (readonly Sample[])[]): string {
  const [go = [], bare = []] = samples;
  const walls = (of: readonly Sample[]) => of.map(({ wallMs }) => wallMs);
  const cpus = (of: readonly Sample[]) => of.map(({ cpuMs }) => cpuMs);
  const rows = plugins.map(([name], at) => {
    const own = samples[at] ?? [];
    return [
      name,
      median(walls(own)).toFixed(1),
      median(cpus(own)).toFixed(1),
      medianRatio(walls(own), walls(go)).toFixed(1),
      medianRatio(walls(own), walls(bare)).toFixed(2),
      medianRatio(cpus(own), cpus(bare)).toFixed(2),
    ];
  });
  return table(['plugin', 'wall ms', 'CPU ms', 'wall × Go', 'wall × Node', 'CPU × Node'], rows);
}

async function run(rounds: number, parts: AsyncDisposableStack): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'oci-connector-bench-'));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  // Credentials are kept in memory only.
  const memory = mkdtempSync('/dev/shm/oci-connector-bench-');
  parts.defer(() => rmSync(memory, { recursive: true, force: true }));
  mkdirSync(join(folder, 'log'));
  const cloud = parts.use(await startOracleCloud());
  const { peers, bare, ours } = await build(parts.use(new Children()), folder);
  const withCache = (name: string) => [ours, configure(folder, name, join(memory, name), cloud)];
  const plugins: readonly Plugin[] = [
    ['Go, a constant', [join(peers, 'plugin')]],
    ['Node, a constant', [bare]],
    ['oci-connector, cached', withCache('cached')],
    ['oci-connector, asks for a token', [ours, configure(folder, 'cold', 'none', cloud)]],
  ];
  const image = `${cloud.registryHost}/tenancy/app`;
  const request = `{"kind":"CredentialProviderRequest","apiVersion":"${apiVersion}","image":"${image}"}`;
  const invoke = (commands: readonly (readonly string[])[], size: { rounds: number; together: number }) =>
    invokePlugins(join(peers, 'invoke'), { commands, request, ...size });

  const commands = plugins.map(([, command]) => command);
  // Files are read for the first time, and the cache is filled.
  await invoke(commands, { rounds: 2, together: 1 });
  const load = loadavg()[2]?.toFixed(1);
  const samples = await invoke(commands, { rounds, together: 1 });
  for (const { failure } of samples.flat()) if (failure !== undefined) throw new Error(failure);
  const before = cloud.registryService.requests.length;
  const [all = []] = await invoke([withCache('together')], { rounds: 1, together });
  const tokens = cloud.registryService.requests.length - before;
  const failures = all.flatMap(({ failure }) => failure ?? []);
  for (const failure of new Set(failures)) process.stderr.write(`bench: ${failure}\n`);
  const longestS = Math.max(...all.map(({ wallMs }) => wallMs)) / 1000;
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${describeHardware()}; Node ${process.versions.node}; load of the last quarter of an hour ${load}`;
  const figures = [
    `${all.length - failures.length} answers`,
    `requests for a token: ${tokens}`,
    `the last answer after ${longestS.toFixed(1)} s`,
    `CPU of each ${median(all.map(({ cpuMs }) => cpuMs)).toFixed(0)} ms`,
  ];
  process.stdout.write(`${date}, ${machine}; ${rounds} rounds\n\n${format(plugins, samples)}\n\n`);
  process.stdout.write(`${together} at the same moment, with nothing in the cache: ${figures.join(', ')}.\n`);
  return tokens === 1 && failures.length === 0 ? 0 : 1;
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '50' } } });
try {
  await using parts = new AsyncDisposableStack();
  process.exitCode = await Promise.race([run(Number(values.rounds), parts), interrupted()]);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
process.exit();
