import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, transform } from 'esbuild';
import { bundleOptions } from '../bundle.ts';
import { licencesOf } from '../licences.ts';

const root = join(import.meta.dirname, '../..');

// A single executable's main file is CommonJS, which starts 6 ms sooner than an ES module does (Node itself takes 22 ms).
const commonJs = {
  format: 'cjs',
  platform: bundleOptions.platform,
  target: bundleOptions.target,
  minify: bundleOptions.minify,
  legalComments: bundleOptions.legalComments,
  supported: { 'dynamic-import': false },
} as const;

export interface Program {
  /** What Node runs when the executable starts, in CommonJS. */
  readonly main: string;
  /** The chunks in it, by their names. */
  readonly early: Readonly<Record<string, string>>;
  /** Those that it loads when it needs them. */
  readonly late: Readonly<Record<string, string>>;
  readonly licences: string;
  readonly inputs: Metafile['inputs'];
}

/**
 * The kubelet's plugin as code for a single executable: one file of what every request needs, and apart from it, for V8 not
 * even to read, what is imported later: YAML, schemas, HTTP client, Oracle's SDK.
 */
export async function bundleProgram(): Promise<Program> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { outputFiles, metafile } = await build({
    ...bundleOptions,
    entryPoints: { main: fileURLToPath(import.meta.resolve('./main.ts')) },
    outdir: '.',
    splitting: true,
    write: false,
    // Here no module is the main one.
    define: { 'import.meta.main': 'false', VERSION: JSON.stringify(version) },
  });
  const early = closureOf(metafile.outputs, 'main.js');
  const chunks = await Promise.all(
    outputFiles.map(async ({ path, text }) => {
      const name = relative(root, path);
      return [name, await toCommonJs(text)] as const;
    }),
  );
  const of = (isEarly: boolean) =>
    Object.fromEntries(chunks.filter(([name]) => early.has(name) === isEarly).map(named));
  return {
    main: await mainOf(of(true)),
    early: of(true),
    late: of(false),
    licences: await licencesOf(metafile.inputs),
    inputs: metafile.inputs,
  };
}

/** `file`, and all that is read before it runs. */
export function closureOf(outputs: Metafile['outputs'], file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const { path, kind } of outputs[file]?.imports ?? []) {
    if (kind === 'import-statement' && path in outputs) closureOf(outputs, path, seen);
  }
  return seen;
}

const toCommonJs = async (code: string): Promise<string> => (await transform(code, commonJs)).code;

const named = ([name, code]: readonly [string, string]) => [`./${name}`, code] as const;

/** The loader behind the chunks that it starts with. */
async function mainOf(chunks: Program['early']): Promise<string> {
  const { outputFiles } = await build({
    ...commonJs,
    entryPoints: [fileURLToPath(import.meta.resolve('./load.ts'))],
    bundle: true,
    write: false,
  });
  const functions = Object.entries(chunks).map(
    ([name, code]) => `${JSON.stringify(name)}(module,exports,require){${code}}`,
  );
  return `const ENTRY="./main.js",CHUNKS={${functions.join(',\n')}};\n${outputFiles[0]?.text}`;
}
