import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { text } from 'node:stream/consumers';

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** The whole environment: nothing of this process's own is handed on. */
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
  /** By default 60 s; then the program is killed and the promise rejected. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end, whatever its exit code. Rejects where it cannot start, is killed, or takes too long. */
export async function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const child = spawn(command, args, { env: options.env, stdio: 'pipe' });
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(kill, options.timeoutMs ?? 60_000);
  // A program that reads nothing may be gone before its input is written.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  try {
    const [[code, signal], stdout, stderr] = await Promise.all([
      once(child, 'close') as Promise<[number | null, string | null]>,
      text(child.stdout),
      text(child.stderr),
    ]);
    if (code !== null) return { code, stdout, stderr };
    throw new Error(`${basename(command)} ${args[0] ?? ''} was ended by ${signal}; it said:\n${stdout}${stderr}`);
  } finally {
    clearTimeout(timer);
  }
}
