import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type ProgramOptions, type ProgramResult, runProgram } from '../../real/support/program.ts';

/** Where Debian keeps the programs that change a machine; the PATH of an ordinary user has it not. */
export const searchPath = `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Runs one of the machine's own programs. Throws what it said where its exit code is not 0; returns its stdout. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: Partial<ProgramOptions> = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryRun(program, args, options);
  if (code !== 0) throw new Error(`${basename(program)} ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
  return stdout;
}

/** The same, whatever the exit code. */
export function tryRun(
  program: string,
  args: readonly string[],
  { env, ...options }: Partial<ProgramOptions> = {},
): Promise<ProgramResult> {
  return runProgram(program, args, { ...options, env: { PATH: searchPath, ...env } });
}

type OptionalProgram = 'ip' | `${'iptables' | 'ip6tables'}-${'save' | 'restore'}`;

/** Runs a program that a machine may lack: then there is nothing that it could show or undo. Returns its stdout, whatever its exit code. */
export async function runIfPresent(program: OptionalProgram, args: readonly string[], input = ''): Promise<string> {
  const isPresent = searchPath.split(':').some((folder) => existsSync(join(folder, program)));
  return isPresent ? (await tryRun(program, args, { input })).stdout : '';
}
