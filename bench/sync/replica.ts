import { join } from 'node:path';
import { request } from 'undici';
import { type ServerProcess, startServer } from '../../test/real/support/server-process.ts';
import { type Usage, usageOf } from '../usage.ts';
import { productNamespace } from './cluster.ts';

export interface ReplicaOptions {
  /** Folder of the bundle. */
  readonly program: string;
  readonly kubeconfig: string;
  readonly identity: string;
  /** Folder for a CPU profile of the whole life of the process. */
  readonly profiles: string | undefined;
}

/** When a replica was ready, and what that had cost. */
export interface ReadyReport extends Usage {
  readonly seconds: number;
  /** Whether every Secret that a connector names had been read by then. */
  readonly isSynced: boolean;
}

/** A `controller` process, from the bundle, as it runs in a pod. */
export interface Replica {
  readonly ready: ReadyReport;
  /** Milliseconds of performance.now() when the process was started. */
  readonly startedAt: number;
  usage(): Usage;
  /** Live and dead objects of the JavaScript heap. */
  heapBytes(): Promise<number>;
  /** Resolves when it has begun to lead; by then, or already, at this time of performance.now(). */
  leads(): Promise<number>;
  readonly isLeading: boolean;
  /** Log lines of level warn and above. */
  warnings(): string[];
  stop(): Promise<void>;
}

interface LogLine {
  readonly level?: string;
  readonly time?: string;
  readonly msg?: string;
  readonly management?: string;
}

const readyTimeoutMs = 600_000;
const anyPort = '127.0.0.1:0';

export async function startReplica({ program, kubeconfig, identity, profiles }: ReplicaOptions): Promise<Replica> {
  const listeners = ['proxy', 'webhook', 'agents', 'management'].map((name) => `--${name}=${anyPort}`);
  const profile = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const command = [...profile, join(program, 'main.js'), 'controller', ...listeners];
  const settings = [
    '--allow-loopback',
    `--namespace=${productNamespace}`,
    `--identity=${identity}`,
    `--kubeconfig=${kubeconfig}`,
  ];
  const startedAt = performance.now();
  const server = await startServer(process.execPath, [...command, ...settings], {
    env: { PATH: process.env['PATH'] ?? '', HOME: program },
  });
  const { line, at } = await said(server, 'ready');
  const ready = {
    ...usageOf(server.pid),
    seconds: (at - startedAt) / 1000,
    isSynced: !linesOf(server).some(({ msg = '' }) => msg.startsWith('some Secrets')),
  };
  return {
    ready,
    startedAt,
    usage: () => usageOf(server.pid),
    heapBytes: () => heapBytesOf(String(line.management)),
    leads: async () => (await said(server, 'leading')).at,
    get isLeading() {
      return linesOf(server).some(({ msg }) => msg === 'leading');
    },
    warnings: () =>
      server.lines.filter((text) => ['warn', 'error', 'fatal'].includes(parseLine(text)?.level ?? 'error')),
    stop: () => server.stop(),
  };
}

/** The line that says so, and when it was written: log lines may be held back for a tenth of a second. */
async function said(server: ServerProcess, message: string): Promise<{ line: LogLine; at: number }> {
  const read = (text: string) => {
    const line = parseLine(text);
    return line?.msg === message ? line : undefined;
  };
  const line = await server.waitFor(read, readyTimeoutMs);
  return { line, at: Date.parse(line.time ?? '') - performance.timeOrigin };
}

const linesOf = ({ lines }: ServerProcess): LogLine[] => lines.map((text) => parseLine(text) ?? {});

function parseLine(text: string): LogLine | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function heapBytesOf(management: string): Promise<number> {
  const { body } = await request(`http://${management}/metrics`);
  return Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(await body.text())?.[1] ?? Number.NaN);
}
