import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Output } from '../../cli/output.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess & { stdout: object; stderr: object } {
  return spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs a command line of the product to its end. */
export async function run(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = start(args, env);
  child.stdin?.end(input);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
}

export interface RunningStandalone extends AsyncDisposable {
  readonly proxy: string;
  readonly webhook: string;
  readonly management: string;
  readonly imageHost: string;
  readonly caFile: string;
  /** All lines on standard error so far. */
  readonly lines: readonly string[];
  /** Resolves with the first line, past or to come, whose text matches. */
  line(pattern: RegExp): Promise<string>;
  /** Sends SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `standalone` on free ports and waits until it is ready. Rejects with what it said when it ends before. */
export async function startStandalone(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningStandalone> {
  const anywhere = '127.0.0.1:0';
  const listeners = ['--proxy', anywhere, '--webhook', anywhere, '--management', anywhere];
  const child = start(['standalone', ...listeners, ...args], env);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    for (const look of waiting) look();
  });
  const line = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = lines.find((candidate) => pattern.test(candidate));
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void ended.then((code) => reject(new Error(`ended with ${code}:\n${lines.join('\n')}`)));
    });
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null) child.kill('SIGTERM');
    return ended;
  };
  const ready = JSON.parse(await line(/"msg":"ready"/));
  return { ...ready, lines, line, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

export interface Folder extends AsyncDisposable {
  readonly path: string;
  write(name: string, content: string): Promise<string>;
}

/** A temporary folder. */
export async function makeFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'oci-connector-test-'));
  return {
    path,
    write: async (name, content) => {
      const file = join(path, name);
      await writeFile(file, content);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

export interface WrittenOutput extends Output {
  readonly results: string;
  readonly notes: string;
}

/** Keeps what a command writes. */
export function keepOutput(): WrittenOutput {
  const written: string[] = [];
  const notes: string[] = [];
  return {
    result(part) {
      written.push(part);
    },
    note(line) {
      notes.push(`${line}\n`);
    },
    get results() {
      return written.join('');
    },
    get notes() {
      return notes.join('');
    },
  };
}
