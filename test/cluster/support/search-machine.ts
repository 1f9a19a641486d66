import { createReadStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const chunkBytes = 4 * 1024 * 1024;

/** Whether the memory of a process holds any of `texts`: all that can be read of it, not only its heap. */
export async function findInMemory(pid: number, texts: readonly string[]): Promise<string[]> {
  const regions = (await readFile(`/proc/${pid}/maps`, 'utf8'))
    .split('\n')
    .map((line) => /^(?<from>[0-9a-f]+)-(?<to>[0-9a-f]+) r\S+ \S+ \S+ \S+ *(?<name>.*)$/.exec(line)?.groups)
    .filter((region) => region !== undefined && !/^\[v(var|dso|syscall)/.test(region['name'] ?? ''));
  const memory = await open(`/proc/${pid}/mem`, 'r');
  const found = new Set<string>();
  const longest = Math.max(...texts.map((text) => text.length));
  const chunk = Buffer.alloc(chunkBytes);
  try {
    for (const region of regions) {
      const [from, to] = [Number.parseInt(region?.['from'] ?? '', 16), Number.parseInt(region?.['to'] ?? '', 16)];
      for (let at = from; at < to; at += chunkBytes - longest) {
        const length = Math.min(chunkBytes, to - at);
        // Regions that were unmapped meanwhile cannot be read.
        const { bytesRead } = await memory.read(chunk, 0, length, at).catch(() => ({ bytesRead: 0 }));
        for (const text of texts) if (chunk.subarray(0, bytesRead).includes(text)) found.add(text);
      }
    }
  } finally {
    await memory.close();
  }
  return [...found];
}

/** Processes whose environment or command line holds `text`, by pid and name. */
export async function processesThatSay(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const said = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`).catch(() => Buffer.alloc(0));
      const [environment, commandLine] = await Promise.all([read('environ'), read('cmdline')]);
      return environment.includes(text) || commandLine.includes(text)
        ? `${pid} ${commandLine.toString().replaceAll('\0', ' ').slice(0, 80)}`
        : undefined;
    }),
  );
  return said.filter((line) => line !== undefined);
}

/** Files below `folder` that hold any of `texts`. */
export async function filesThatHold(folder: string, texts: readonly string[]): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await filesThatHold(path, texts)));
    else if (entry.isFile() && (await fileHolds(path, texts))) found.push(path);
  }
  return found;
}

async function fileHolds(path: string, texts: readonly string[]): Promise<boolean> {
  const longest = Math.max(...texts.map((text) => text.length));
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
      const bytes = Buffer.concat([rest, chunk as Buffer]);
      if (texts.some((text) => bytes.includes(text))) return true;
      rest = bytes.subarray(Math.max(0, bytes.length - longest));
    }
  } catch {
    // Sockets, and files that went away.
  }
  return false;
}
