import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ServerProcess, startServer } from './server-process.ts';

const main = join(import.meta.dirname, '../../../cli/main.ts');

/** Longer than any operation takes, so that a drain has no reason to cut one. */
const graceMs = 300_000;

/** When callers could not reach the product, or were cut off. Milliseconds of `performance.now()`. */
export interface Interruption {
  readonly kind: 'killed' | 'drained';
  readonly from: number;
  /** When the next process was ready. */
  to: number;
  /** By a killed process's own clock, its last line that came out: it gathers them, and what it logged since went with it. */
  loggedUntil?: number;
}

export interface FaultProductOptions {
  /** Folder of manifests. */
  readonly manifests: string;
  readonly certs: string;
}

/** The product as a process that is killed and started again, always on the same port. */
export interface FaultProduct {
  /** Of the proxy, `127.0.0.1:port`. */
  readonly proxy: string;
  readonly interruptions: readonly Interruption[];
  /** What all its processes have logged. */
  logged(): readonly LoggedLine[];
  /** SIGKILL, and a new process. */
  kill(): Promise<void>;
  /** SIGTERM; a new process as soon as the port is free, while the old one ends what is under way. */
  replace(): Promise<void>;
  usage(): Promise<ProductUsage>;
  close(): Promise<void>;
}

export interface LoggedLine {
  readonly msg: string;
  /** ISO 8601. */
  readonly time?: string;
  readonly error?: string;
  readonly repository?: string;
  readonly level?: string | number;
}

export interface ProductUsage {
  readonly rssMiB: number;
  /** Open file descriptors, sockets among them. */
  readonly descriptors: number;
}

export async function startFaultProduct(options: FaultProductOptions): Promise<FaultProduct> {
  const processes = [await startProcess(options, '127.0.0.1:0')];
  const draining: Promise<void>[] = [];
  const interruptions: Interruption[] = [];
  const current = () => processes.at(-1)?.server as ServerProcess;
  const proxy = processes[0]?.proxy ?? '';
  const interrupt = async (kind: Interruption['kind'], end: (interruption: Interruption) => Promise<void>) => {
    const interruption: Interruption = { kind, from: performance.now(), to: Number.POSITIVE_INFINITY };
    interruptions.push(interruption);
    await end(interruption);
    processes.push(await startProcess(options, proxy));
    interruption.to = performance.now();
  };
  return {
    proxy,
    interruptions,
    logged: () => processes.flatMap(({ server }) => server.lines.map(parseLine)),
    kill: () =>
      interrupt('killed', async (interruption) => {
        process.kill(current().pid, 'SIGKILL');
        await current().stop();
        const last = current()
          .lines.map(parseLine)
          .findLast(({ time }) => time !== undefined);
        interruption.loggedUntil = Date.parse(last?.time ?? '') - performance.timeOrigin;
      }),
    replace: () =>
      interrupt('drained', async () => {
        draining.push(current().stop());
        await untilRefused(proxy);
      }),
    usage: () => usageOf(current().pid),
    close: async () => {
      await current().stop();
      await Promise.all(draining);
    },
  };
}

async function startProcess({ manifests, certs }: FaultProductOptions, proxy: string) {
  const listeners = ['--proxy', proxy, '--webhook', '127.0.0.1:0', '--management', '127.0.0.1:0'];
  const grace = ['--drain-seconds', String(graceMs / 1000)];
  const args = [main, 'standalone', '--manifests', manifests, '--certs', certs, ...grace, ...listeners];
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const server = await startServer(process.execPath, args, { env, stopTimeoutMs: graceMs + 10_000 });
  const ready = await server.waitFor((line) => (line.includes('"msg":"ready"') ? JSON.parse(line) : undefined));
  return { server, proxy: String(ready.proxy) };
}

/** A draining process has given its port up when nobody is let in any more. */
async function untilRefused(address: string): Promise<void> {
  const port = Number(address.split(':').at(-1));
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    const isOpen = await promise;
    socket.destroy();
    if (!isOpen) return;
    await delay(10);
  }
}

async function usageOf(pid: number): Promise<ProductUsage> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { rssMiB: Math.round(kibibytes / 1024), descriptors: (await readdir(`/proc/${pid}/fd`)).length };
}

function parseLine(line: string): LoggedLine {
  try {
    return JSON.parse(line);
  } catch {
    return { msg: line };
  }
}
