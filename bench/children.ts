import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const killAfterMs = 5_000;

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** File that standard error goes to; by default that of this process. */
  readonly errorFile?: string;
}

/** The processes of a run. All of them end with it, whatever ends it. */
export class Children implements AsyncDisposable {
  readonly #living = new Set<ChildProcess>();

  start(command: string, args: readonly string[], options: StartOptions = {}): ChildProcess {
    const errors = options.errorFile === undefined ? 'inherit' : openSync(options.errorFile, 'w');
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', errors],
      env: { ...process.env, ...options.environment },
    });
    this.#living.add(child);
    child.once('exit', () => this.#living.delete(child));
    child.once('error', () => this.#living.delete(child));
    return child;
  }

  /**
   * What a program writes to standard output until it ends.
   * @throws Error when it fails, or is not done after `timeoutMs`
   */
  async run(
    command: string,
    args: readonly string[],
    { timeoutMs = 600_000, ...options }: StartOptions & { readonly timeoutMs?: number } = {},
  ): Promise<string> {
    const child = this.start(command, args, options);
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    try {
      const chunks: Buffer[] = [];
      child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      const [code, signal] = await once(child, 'close');
      const text = Buffer.concat(chunks).toString('utf8');
      if (code === 0) return text;
      throw new Error(`${command} ended with ${code ?? signal}\n${text}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends one process, by force if it takes too long. */
  async stop(child: ChildProcess): Promise<void> {
    if (!this.#living.has(child)) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    await ended;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#living].map((child) => this.stop(child)));
  }
}

/**
 * Waits for what `look` finds.
 * @throws Error when the process has ended before, or after ten seconds
 */
export async function until<T>(child: ChildProcess, name: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const endsAt = performance.now() + 10_000; performance.now() < endsAt; await delay(25)) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`${name} did not start`);
}

/** The first line that a process writes to standard output: for ours, the address it listens on. */
export async function firstLine(child: ChildProcess, name: string): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return until(child, name, async () => (text.includes('\n') ? text.slice(0, text.indexOf('\n')) : undefined));
}
