import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { partPath } from '../../real/support/find-part.ts';
import { endingWithParent } from '../../real/support/server-process.ts';
import type { ComponentCommand } from './control-plane-commands.ts';
import { searchPath } from './machine.ts';
import { endProcess, isRunning, type ProcessRecord, recordProcess } from './process-record.ts';

/** In the environment of all components, with the cluster's folder: even a shim without a record is known by it. */
export const markerVariable = 'OCI_CONNECTOR_TEST_CLUSTER';

export interface ComponentOptions {
  readonly folder: string;
  readonly name: string;
  readonly command: ComponentCommand;
  /** Whether the component goes on when this process ends. */
  readonly isPersistent: boolean;
}

/** Starts a component with its log in `<folder>/log` and its record in `<folder>/pids`. */
export async function startComponent({ folder, name, command, isPersistent }: ComponentOptions): Promise<void> {
  for (const part of ['log', 'pids']) mkdirSync(join(folder, part), { recursive: true });
  const line = [partPath(command.part), ...command.args];
  const [program = '', ...args] = isPersistent ? line : endingWithParent(line);
  const log = openSync(logPath(folder, name), 'a');
  try {
    const child = spawn(program, args, {
      // In a session of its own: Ctrl-C in a terminal is for the one who typed it.
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: searchPath, HOME: folder, [markerVariable]: folder },
    });
    await once(child, 'spawn');
    child.unref();
    const record = child.pid === undefined ? undefined : recordProcess(child.pid);
    if (record !== undefined) writeFileSync(recordPath(folder, name), `${record.pid} ${record.startTime}\n`);
  } finally {
    await promisify(close)(log);
  }
}

/** Ends a component and forgets it; nothing happens where it does not run. */
export async function stopComponent(
  folder: string,
  name: string,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<void> {
  const record = readRecord(folder, name);
  if (record === undefined) return;
  await endProcess(record, signal, timeoutMs);
  await rm(recordPath(folder, name), { force: true });
}

/** The running process of a component. */
export function findComponent(folder: string, name: string): ProcessRecord | undefined {
  const record = readRecord(folder, name);
  return record !== undefined && isRunning(record) ? record : undefined;
}

export function logPath(folder: string, name: string): string {
  return join(folder, 'log', `${name}.log`);
}

function recordPath(folder: string, name: string): string {
  return join(folder, 'pids', name);
}

function readRecord(folder: string, name: string): ProcessRecord | undefined {
  let text: string;
  try {
    text = readFileSync(recordPath(folder, name), 'utf8');
  } catch {
    return undefined;
  }
  const [pid, startTime] = text.trim().split(' ');
  return startTime === undefined ? undefined : { pid: Number(pid), startTime };
}
