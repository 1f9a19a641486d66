import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process for good: its pid may be another's later, pid and start time together never. */
export interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since the machine started. */
  readonly startTime: string;
}

/** The process that has this pid now, or undefined where it is gone or dead and only not yet waited for. */
export function recordProcess(pid: number): ProcessRecord | undefined {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return undefined;
  // The second field is the program's name in parentheses, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTime = fields[19];
  return startTime === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTime };
}

export function isRunning(record: ProcessRecord): boolean {
  return recordProcess(record.pid)?.startTime === record.startTime;
}

export function signalProcess(record: ProcessRecord, signal: NodeJS.Signals): void {
  if (!isRunning(record)) return;
  try {
    process.kill(record.pid, signal);
  } catch {
    // It ended in between.
  }
}

/** Sends `signal`, then SIGKILL after `timeoutMs`; resolves when the process is gone. */
export async function endProcess(record: ProcessRecord, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  signalProcess(record, signal);
  const killAt = performance.now() + timeoutMs;
  let isKilled = signal === 'SIGKILL';
  while (isRunning(record)) {
    if (!isKilled && performance.now() > killAt) {
      signalProcess(record, 'SIGKILL');
      isKilled = true;
    }
    await delay(10);
  }
}

/** All processes whose environment has `variable` with `value`: those that were started with it, and what they started. */
export function findProcesses(variable: string, value: string): ProcessRecord[] {
  const wanted = `${variable}=${value}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && readProc(pid, 'environ')?.split('\0').includes(wanted))
    .flatMap((pid) => recordProcess(pid) ?? []);
}

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return undefined;
  }
}
