/**
 * Measures the proxy beside nginx and Go on this machine: `npm run bench -- [flags]`, see README.md. Prints Markdown;
 * exits with 1 when memory is not held or something fails.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Children } from './children.ts';
import { interrupted } from './interrupted.ts';
import { describeMachine } from './machine.ts';
import {
  type Effort,
  type Measured,
  type MeasureOptions,
  measure,
  measureSlowClients,
  type SlowClients,
} from './measure.ts';
import { startOrigin } from './origin.ts';
import { type Peer, type PeerContext, type PeerKind, peerKinds, product, reference, startPeer } from './peers.ts';
import { buildPrograms, missingPrograms } from './programs.ts';
import { figuresTable, isWithinMemory, ratiosTable, replaceMeasured, slowClientsLine } from './report.ts';

const efforts: Readonly<Record<'full' | 'quick', Effort>> = {
  full: { rounds: 7, warmUpSeconds: 5, smallSeconds: 5, blobClients: 4, slowSeconds: 15 },
  quick: { rounds: 3, warmUpSeconds: 2, smallSeconds: 2, blobClients: 2, slowSeconds: 5 },
};

const options = {
  write: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  tls: { type: 'boolean', default: false },
  prototypes: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  profile: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;
type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

const usage = `npm run bench -- [flags]
  --write        put the figures into bench/README.md
  --quick        a short run: what it says is rough
  --tls          the registry speaks TLS
  --prototypes   measure what the data path was chosen from, too
  --only TEXT    only proxies whose name contains TEXT, beside ${reference} (may be repeated)
  --profile DIR  the product writes CPU profiles into DIR, which costs it some speed
`;

interface Results {
  readonly machine: string;
  readonly measured: readonly Measured[];
  readonly slow: readonly SlowClients[];
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function run(flags: Flags, children: Children, folder: string): Promise<Results> {
  const programs = join(import.meta.dirname, '../.cache/bench');
  await buildPrograms(children, programs);
  const machine = await describeMachine(children);
  const origin = await startOrigin(children, folder, flags.tls);
  const context: PeerContext = { children, origin, folder, programs, profiles: flags.profile };
  const effort = flags.quick ? efforts.quick : efforts.full;
  const measuring: MeasureOptions = { children, programs, effort, report: say };

  const slow: SlowClients[] = [];
  // In processes of their own: what waits for slow callers must not hide in memory that an earlier load left behind.
  for (const kind of peerKinds.filter(({ name }) => name === product || name === reference)) {
    const peer = await startPeer(kind, { ...context, folder: join(folder, 'slow') });
    slow.push(await measureSlowClients(peer, measuring));
    await peer.stop();
  }
  const wanted = peerKinds.filter((kind) => kind.name === reference || isWanted(kind, flags));
  const peers: Peer[] = [];
  for (const kind of wanted) peers.push(await startPeer(kind, context));
  const measured = await measure(peers, measuring);
  // Profiles are written at the end of a process.
  for (const peer of peers) await peer.stop();
  return { machine, measured, slow };
}

function isWanted({ name, isPrototype }: PeerKind, { only, prototypes }: Flags): boolean {
  if (only !== undefined) return only.some((text) => name.includes(text));
  return prototypes || !isPrototype;
}

function format({ machine, measured, slow }: Results, command: string): string {
  const date = new Date().toISOString().slice(0, 10);
  return [
    `${date}, ${machine}; \`${command}\``,
    figuresTable(measured),
    ratiosTable(measured),
    slow.map((entry) => `- ${slowClientsLine(entry)}`).join('\n'),
  ].join('\n\n');
}

async function main(args: string[]): Promise<number> {
  const { values: flags } = parseArgs({ args, options });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const missing = missingPrograms(process.env['PATH'] ?? '');
  if (missing.length > 0) throw new Error(`not on PATH: ${missing.join('; ')}`);
  const ending = interrupted();
  const folder = mkdtempSync(join(tmpdir(), 'oci-connector-bench-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const children = parts.use(new Children());
  const results = await Promise.race([run(flags, children, folder), ending]);
  const text = format(results, ['npm run bench --', ...args].join(' '));
  process.stdout.write(`${text}\n`);
  if (flags.write) {
    const file = join(import.meta.dirname, 'README.md');
    writeFileSync(file, replaceMeasured(readFileSync(file, 'utf8'), text));
  }
  return results.slow.filter(({ name }) => name === product).every(isWithinMemory) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// A run that was interrupted is still waiting for something that will not come.
process.exit();
