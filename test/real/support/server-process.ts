import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { findPart } from './find-part.ts';

export interface ServerProcessOptions {
  /** The whole environment: nothing of this process's own is handed on. */
  readonly env: Readonly<Record<string, string>>;
  /** How long SIGTERM may take before SIGKILL follows, by default 10 s. */
  readonly stopTimeoutMs?: number;
}

/** A server that a test started, with everything that it said on stdout and stderr. */
export interface ServerProcess {
  readonly pid: number;
  readonly lines: readonly string[];
  /** The first thing that `read` finds in a line, said already or yet to come. Rejects when the server ends or in `timeoutMs`. */
  waitFor<T>(read: (line: string) => T | undefined, timeoutMs?: number): Promise<T>;
  /** SIGTERM, then SIGKILL; resolves when the process is gone. */
  stop(): Promise<void>;
}

type Listener = (line: string | undefined) => void;

/** Starts `command`. On Linux the server ends with this process, whatever becomes of it. */
export async function startServer(
  command: string,
  args: readonly string[],
  options: ServerProcessOptions,
): Promise<ServerProcess> {
  const [program = command, ...programArgs] = endingWithParent([command, ...args]);
  const child = spawn(program, programArgs, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close').catch(() => undefined);
  await once(child, 'spawn');
  const lines: string[] = [];
  const listeners = new Set<Listener>();
  const tell = (line: string | undefined) => {
    for (const listener of [...listeners]) listener(line);
  };
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      tell(line);
    });
  }
  void closed.then(() => tell(undefined));
  return {
    pid: child.pid ?? 0,
    lines,
    waitFor: (read, timeoutMs = 20_000) =>
      waitForLine({ name: basename(command), lines, listeners, hasEnded: () => hasEnded(child) }, read, timeoutMs),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), options.stopTimeoutMs ?? 10_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/**
 * The command line that has the kernel kill `command` once its parent is gone. vitest ends a worker by a signal, so
 * that no exit hook runs: a server that a failed test forgot would go on for ever.
 */
export function endingWithParent(command: readonly string[]): readonly string[] {
  const setpriv = findPart('setpriv');
  return setpriv === undefined ? command : [setpriv, '--pdeathsig', 'KILL', '--', ...command];
}

interface Output {
  readonly name: string;
  readonly lines: readonly string[];
  readonly listeners: Set<Listener>;
  readonly hasEnded: () => boolean;
}

function waitForLine<T>(output: Output, read: (line: string) => T | undefined, timeoutMs: number): Promise<T> {
  const { name, lines, listeners } = output;
  for (const line of lines) {
    const found = read(line);
    if (found !== undefined) return Promise.resolve(found);
  }
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      settle();
      reject(new Error(`${name} ${what}; it said last:\n${lines.slice(-20).join('\n')}`));
    };
    const listener: Listener = (line) => {
      if (line === undefined) return fail('ended');
      const found = read(line);
      if (found === undefined) return;
      settle();
      resolve(found);
    };
    const timer = setTimeout(() => fail(`did not say what was waited for in ${timeoutMs} ms`), timeoutMs);
    const settle = () => {
      clearTimeout(timer);
      listeners.delete(listener);
    };
    if (output.hasEnded()) return fail('has ended');
    listeners.add(listener);
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
