import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const program = join(import.meta.dirname, '../../cli/credential-provider.ts');

/** What the kubelet reads, field by field. */
export interface CredentialProviderResponse {
  readonly apiVersion: string;
  readonly kind: string;
  readonly cacheKeyType: string;
  readonly cacheDuration: string;
  readonly auth: Readonly<Record<string, { readonly username: string; readonly password: string }>>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Undefined: standard input does not end. */
  readonly input?: string | Uint8Array | undefined;
  /** Its standard input is a socket and no pipe; and the process is the plugin's own. */
  readonly isSocket?: boolean;
}

/** Starts the plugin as the kubelet does, whose standard input is a pipe; what Node makes for a child is a socket. */
export function startProvider(args: readonly string[], options: RunOptions, entry = program): Started {
  const { env = {}, input, isSocket = false } = options;
  const command = [process.execPath, entry, ...args];
  const piped = ['-c', 'cat | exec "$@"', 'sh', ...command];
  const [file = '', ...rest] = isSocket ? command : ['/bin/sh', ...piped];
  const child = spawn(file, rest, { env: { ...process.env, ...env }, stdio: 'pipe' });
  child.stdin.on('error', () => {});
  if (input !== undefined) child.stdin.end(input);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([stdout, stderr, [code]]) => ({ code: code as number | null, stdout, stderr }),
  );
  return { child, ended };
}

/** A node: a configuration, and where log and cache are. */
export interface Node {
  readonly configFile: string;
  readonly cacheDir: string;
  readonly logFile: string;
  start(options: RunOptions): Started;
  /** Runs it to its end. */
  run(input: string | Uint8Array, env?: NodeJS.ProcessEnv): Promise<Ended>;
  /** Lines of the log so far. */
  log(): readonly Readonly<Record<string, unknown>>[];
}

export async function makeNode(folder: string, configuration: object = {}, entry = program): Promise<Node> {
  const [cacheDir, logFile] = [join(folder, 'cache'), join(folder, 'log', 'provider.log')];
  const configFile = join(folder, 'provider.yaml');
  await writeFile(configFile, JSON.stringify({ cacheDir, log: { file: logFile, level: 'debug' }, ...configuration }));
  const start = (options: RunOptions): Started => startProvider(['--config', configFile], options, entry);
  return {
    configFile,
    cacheDir,
    logFile,
    start,
    run: (input, env = {}) => start({ input, env }).ended,
    log: () => (existsSync(logFile) ? linesOf(readFileSync(logFile, 'utf8')) : []),
  };
}

const linesOf = (all: string) =>
  all
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** The one object that a run wrote. */
export function answerOf({ code, stdout, stderr }: Ended): CredentialProviderResponse {
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as CredentialProviderResponse;
}
