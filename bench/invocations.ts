import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** What `peers/invoke` is to do. */
export interface InvocationPlan {
  /** Programs with their arguments, which take turns. */
  readonly commands: readonly (readonly string[])[];
  /** For standard input. */
  readonly request: string;
  readonly rounds: number;
  /** Invocations of each at the same moment. */
  readonly together: number;
}

/** One invocation. */
export interface Sample {
  /** From the start of the process to its end. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** What it said instead of an answer. */
  readonly failure?: string;
}

/** By a small program in Go, as the kubelet is: to start a process costs a large one more. @returns samples of each command */
export async function invokePlugins(program: string, plan: InvocationPlan): Promise<readonly (readonly Sample[])[]> {
  const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(plan));
  const [[code], samples] = await Promise.all([once(child, 'close'), text(child.stdout)]);
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return JSON.parse(samples);
}
