import { cpus, totalmem } from 'node:os';
import type { Children } from './children.ts';

/** Processors and memory. */
export function describeHardware(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

/** What figures mean nothing without, in one line. */
export async function describeMachine(children: Children): Promise<string> {
  const go = (await children.run('go', ['env', 'GOVERSION'])).trim().replace(/^go/, 'Go ');
  // nginx writes its version to standard error, which here is the shell's standard output.
  const nginx = (await children.run('sh', ['-c', 'nginx -v 2>&1'])).trim().replace(/^.*nginx\//, 'nginx ');
  return `${describeHardware()}; Node ${process.versions.node}, ${go}, ${nginx}`;
}
