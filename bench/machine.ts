import { cpus, totalmem } from 'node:os';
import type { Children } from './children.ts';

/** What figures mean nothing without, in one line. */
export async function describeMachine(children: Children): Promise<string> {
  const cores = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const go = (await children.run('go', ['env', 'GOVERSION'])).trim().replace(/^go/, 'Go ');
  // nginx writes its version to standard error, which here is the shell's standard output.
  const nginx = (await children.run('sh', ['-c', 'nginx -v 2>&1'])).trim().replace(/^.*nginx\//, 'nginx ');
  return `${cores.length} × ${cores[0]?.model ?? 'unknown CPU'}, ${memory}; Node ${process.versions.node}, ${go}, ${nginx}`;
}
