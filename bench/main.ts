/**
 * Measures the proxy beside nginx and Go on this machine: `npm run bench -- [flags]`, see README.md. Prints Markdown;
 * exits with 1 when memory is not held, a token is asked for twice, or something fails.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Children } from './children.ts';
import { interrupted } from './interrupted.ts';
import { describeMachine } from './machine.ts';
import { startOrigin } from './origin.ts';
import type { Effort, Part, PartContext } from './part.ts';
import { exchanges } from './parts/exchanges.ts';
import { image } from './parts/image.ts';
import { proxies } from './parts/proxies.ts';
import { push } from './parts/push.ts';
import { relay } from './parts/relay.ts';
import { replicas } from './parts/replicas.ts';
import { slow } from './parts/slow.ts';
import type { PeerKind } from './peers.ts';
import { buildProduct, buildPrograms, missingPrograms } from './programs.ts';
import { replaceMeasured, section } from './report.ts';

const parts: readonly Part[] = [proxies, image, push, exchanges, slow, relay, replicas];

const efforts: Readonly<Record<'full' | 'quick', Effort>> = {
  full: { isQuick: false, rounds: 5, warmUpSeconds: 6, smallSeconds: 4, blobClients: 4, slowSeconds: 15 },
  quick: { isQuick: true, rounds: 2, warmUpSeconds: 1, smallSeconds: 1, blobClients: 2, slowSeconds: 4 },
};

const options = {
  write: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  tls: { type: 'boolean', default: false },
  prototypes: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  proxy: { type: 'string', multiple: true },
  beside: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;
type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

const usage = `npm run bench -- [flags]
  --write        put the figures into bench/README.md
  --quick        a short run: what it says is rough
  --tls          registries speak TLS
  --only PART    only this part (may be repeated): ${parts.map(({ name }) => name).join(', ')}
  --proxy TEXT   in part proxies only those whose name contains TEXT, beside Go's (may be repeated)
  --prototypes   in part proxies also what the data path was chosen from
  --beside TREE  in part proxies also the product of another source tree
  --profile DIR  the product writes CPU profiles into DIR, which costs it some speed
`;

interface Results {
  readonly machine: string;
  readonly sections: readonly string[];
  readonly failures: readonly string[];
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function run(flags: Flags, wanted: readonly Part[], children: Children, folder: string): Promise<Results> {
  const programs = join(import.meta.dirname, '../.cache/bench');
  await buildPrograms(children, programs);
  const machine = await describeMachine(children);
  const tree = join(import.meta.dirname, '..');
  // In a profile, functions are to have their names.
  const isBundled = flags.profile === undefined;
  const context: PartContext = {
    children,
    folder,
    programs,
    main: isBundled ? await buildProduct(children, tree, join(folder, 'product')) : join(tree, 'cli/main.ts'),
    besideMain: flags.beside && (await buildProduct(children, resolve(flags.beside), join(folder, 'beside'))),
    origin: await startOrigin(children, folder, flags.tls),
    effort: flags.quick ? efforts.quick : efforts.full,
    isTls: flags.tls,
    profiles: flags.profile,
    isWanted: (kind) => isWanted(kind, flags),
    report: say,
  };
  const sections: string[] = [];
  const failures: string[] = [];
  for (const part of wanted) {
    const own = join(folder, part.name);
    mkdirSync(own);
    const startedAt = performance.now();
    const findings = await part.run({ ...context, folder: own });
    say(`${part.name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    sections.push(section(part, findings));
    failures.push(...findings.failures);
  }
  return { machine, sections, failures };
}

function isWanted({ name, isPrototype, isOther }: PeerKind, { proxy, prototypes, beside }: Flags): boolean {
  if (isOther) return beside !== undefined;
  if (isPrototype && !prototypes) return false;
  return proxy === undefined || proxy.some((text) => name.includes(text));
}

function format({ machine, sections }: Results, command: string): string {
  const date = new Date().toISOString().slice(0, 10);
  const load = loadavg()[2]?.toFixed(1);
  return [`${date}, ${machine}; load of the last quarter of an hour ${load}; \`${command}\``, ...sections].join('\n\n');
}

/** @throws Error for a name that no part has */
function wantedParts(names: readonly string[] | undefined): readonly Part[] {
  const unknown = names?.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined) throw new Error(`there is no part "${unknown}"\n${usage}`);
  return parts.filter(({ name }) => names === undefined || names.includes(name));
}

async function main(args: string[]): Promise<number> {
  const { values: flags } = parseArgs({ args, options });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const wanted = wantedParts(flags.only);
  const missing = missingPrograms(process.env['PATH'] ?? '');
  if (missing.length > 0) throw new Error(`not on PATH: ${missing.join('; ')}`);
  const ending = interrupted();
  const folder = mkdtempSync(join(tmpdir(), 'oci-connector-bench-'));
  await using owned = new AsyncDisposableStack();
  owned.defer(() => rmSync(folder, { recursive: true, force: true }));
  const children = owned.use(new Children());
  const results = await Promise.race([run(flags, wanted, children, folder), ending]);
  const text = format(results, ['npm run bench --', ...args].join(' '));
  process.stdout.write(`${text}\n`);
  if (flags.write) {
    const file = join(import.meta.dirname, 'README.md');
    writeFileSync(file, replaceMeasured(readFileSync(file, 'utf8'), text));
  }
  for (const failure of results.failures) say(`bench: ${failure}`);
  return results.failures.length;
}

try {
  process.exitCode = Math.min(1, await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
// A run that was interrupted is still waiting for something that will not come.
process.exit();
