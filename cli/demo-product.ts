import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Where the product said that it listens. */
export interface ReadyLine {
  readonly proxy: string;
  readonly webhook: string;
  readonly caFile: string;
}

/** The product as a process of its own. To dispose of it is to end it and to remove its manifests. */
export interface Product extends AsyncDisposable {
  readonly ready: ReadyLine;
  /**
   * Tells it to end.
   * @throws Error when it ends with anything but 0
   */
  stop(): Promise<void>;
}

/**
 * Starts the product as its users do, on ports that are free, and waits for the log line that says it is ready.
 * Whatever ends this process, a signal too, ends the product and removes its folder, which holds a credential.
 * @throws Error with all that it said when it does not start
 */
export async function startProduct(manifests: string, signal: AbortSignal): Promise<Product> {
  // Nothing is awaited between what has to be cleaned up and the registration of who does it.
  const folder = mkdtempSync(join(tmpdir(), 'oci-connector-demo-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  let child: ChildProcess | undefined;
  const unregister = atExit(() => {
    child?.kill('SIGKILL');
    removeFolder();
  });
  const dispose = async (): Promise<void> => {
    if (child !== undefined) await end(child);
    removeFolder();
    unregister();
  };
  try {
    writeFileSync(join(folder, 'connector.yaml'), manifests, { mode: 0o600 });
    child = spawnStandalone(folder);
    const started = child;
    return {
      ready: await waitUntilReady(started, signal),
      stop: () => stop(started),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Runs `cleanUp` when this process ends without having called what is returned. */
function atExit(cleanUp: () => void): () => void {
  const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
  const onSignal = (name: NodeJS.Signals): never => process.exit(128 + constants.signals[name]);
  process.once('exit', cleanUp);
  for (const name of signals) process.once(name, onSignal);
  return () => {
    process.off('exit', cleanUp);
    for (const name of signals) process.off(name, onSignal);
  };
}

function spawnStandalone(folder: string): ChildProcess {
  const anywhere = '127.0.0.1:0';
  const listeners = ['--proxy', anywhere, '--webhook', anywhere, '--management', anywhere];
  const folders = ['--manifests', folder, '--certs', join(folder, 'certs')];
  const command = [join(import.meta.dirname, 'main.ts'), 'standalone', ...folders, ...listeners];
  return spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function waitUntilReady(child: ChildProcess, signal: AbortSignal): Promise<ReadyLine> {
  const said: string[] = [];
  if (child.stderr === null) throw new Error('oci-connector has no standard error');
  for await (const line of createInterface({ input: child.stderr, signal })) {
    said.push(line);
    const entry = parseLine(line);
    if (entry?.msg !== 'ready') continue;
    child.stderr.resume();
    return entry;
  }
  throw new Error(`oci-connector did not start:\n${said.join('\n')}`);
}

function parseLine(line: string): (ReadyLine & { msg: string }) | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const code = await end(child);
  if (code !== 0) throw new Error(`oci-connector ended with ${code}`);
}

/** Resolves with the exit code, or with the signal that ended it. */
async function end(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
  return child.exitCode ?? child.signalCode;
}
