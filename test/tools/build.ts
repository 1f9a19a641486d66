/**
 * Builds the Go programs that the tests run as real parts: `node test/tools/build.ts [name…]`, all of them by default.
 * What is built already is left alone. OCI_CONNECTOR_TOOLS names another cache folder than .cache/tools.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { defaultCache, sourcePrefix, type ToolModule, toolModules, toolNames } from './cache.ts';

const lockTimeoutMs = 60 * 60 * 1000;

type Report = (line: string) => void;

/**
 * Builds what is missing of `names` into `cache`, one run at a time. A binary appears whole or not at all; folders of
 * older sources or Go versions are removed. Throws where a name is unknown or a build fails.
 */
export function buildTools(names: readonly string[], cache: string, report: Report): void {
  const unknown = names.filter((name) => !toolNames().includes(name));
  if (unknown.length > 0) throw new Error(`no such tool: ${unknown.join(', ')} (there are ${toolNames().join(', ')})`);
  mkdirSync(cache, { recursive: true });
  withLock(join(cache, 'lock'), report, () => {
    for (const module of toolModules) {
      const wanted = Object.keys(module.packages).filter((name) => names.includes(name));
      if (wanted.length > 0) buildModule(module, wanted, cache, report);
    }
  });
}

function buildModule(module: ToolModule, names: readonly string[], cache: string, report: Report): void {
  const current = `${sourcePrefix(module)}${goVersion(module.folder)}`;
  for (const folder of readdirSync(cache)) {
    if (!folder.startsWith(`${module.name}-`) || folder === current) continue;
    rmSync(join(cache, folder), { recursive: true });
    report(`removed ${folder}, built from other sources`);
  }
  const folder = join(cache, current);
  mkdirSync(folder, { recursive: true });
  const unfinished = readdirSync(folder).filter((name) => name.endsWith('.unfinished'));
  for (const name of unfinished) rmSync(join(folder, name));
  for (const name of names) {
    const path = join(folder, name);
    if (existsSync(path)) {
      report(`${name} is there: ${path}`);
      continue;
    }
    const startedAt = performance.now();
    build(module, name, path);
    report(`${name} built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${path}`);
  }
}

function goVersion(folder: string): string {
  try {
    return execFileSync('go', ['env', 'GOVERSION'], { cwd: folder, encoding: 'utf8' }).trim();
  } catch (error) {
    throw new Error('the tools need Go 1.26 on PATH', { cause: error });
  }
}

function build(module: ToolModule, name: string, path: string): void {
  // A killed run leaves its compiler behind for a while: the name is this run's own.
  const unfinished = `${path}.${process.pid}.unfinished`;
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', `-ldflags=${module.linkerFlags}`];
  execFileSync('go', ['build', ...flags, '-o', unfinished, module.packages[name] ?? name], {
    cwd: module.folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    // Without cgo a binary needs no C compiler here and no certain libc where it runs.
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
  });
  renameSync(unfinished, path);
}

/** SQLite's lock on a file is the kernel's, which lets go of it when a process dies: no stale lock is ever to be judged. */
function withLock(path: string, report: Report, work: () => void): void {
  const lock = new DatabaseSync(path, { timeout: lockTimeoutMs });
  try {
    if (!tryLock(path)) report('another build is running, waiting for it');
    lock.exec('BEGIN EXCLUSIVE');
    work();
  } finally {
    lock.close();
  }
}

function tryLock(path: string): boolean {
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch {
    return false;
  } finally {
    lock.close();
  }
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const cache = resolve(process.env['OCI_CONNECTOR_TOOLS'] ?? defaultCache);
  try {
    buildTools(names.length > 0 ? names : toolNames(), cache, (line) => process.stdout.write(`tools: ${line}\n`));
  } catch (error) {
    process.stderr.write(`tools: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
