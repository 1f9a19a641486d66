/** A worker that reads all files of a folder again and again, until it is told to end, and counts what it sees. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

export interface Seen {
  /** Rounds in which all files were read. */
  rounds: number;
  /** Rounds in which the files were replaced meanwhile. */
  lost: number;
  generations: number;
  readonly bad: string[];
}

const { path, files, end } = workerData as { path: string; files: number; end: Int32Array };
const seen: Seen = { rounds: 0, lost: 0, generations: 0, bad: [] };
const generations = new Set<string>();

/** Each file says its generation at its beginning and at its end. */
function generationOf(file: string): string {
  const text = readFileSync(file, 'utf8');
  const [first = '', last] = [text.split('\n', 1)[0], text.split('\n').at(-1)];
  if (first !== last || text.length < 10_000) seen.bad.push(`${file}: ${text.length} from ${first} to ${last}`);
  return first;
}

parentPort?.postMessage('started');
while (Atomics.load(end, 0) === 0) {
  try {
    const folder = realpathSync(join(path, '..data'));
    const names = readdirSync(folder).filter((name) => !name.startsWith('..'));
    const found = new Set(names.map((name) => generationOf(join(folder, name))));
    // A folder whose files go was replaced long ago.
    if (names.length < files && !existsSync(folder)) throw Object.assign(new Error(), { code: 'ENOENT' });
    if (found.size !== 1 || names.length !== files) seen.bad.push(`${names.length} files: ${[...found].join(' and ')}`);
    for (const generation of found) generations.add(generation);
    seen.rounds += 1;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') seen.bad.push(String(error));
    seen.lost += 1;
  }
  // By its plain name a file is always there.
  try {
    generationOf(join(path, 'a'));
  } catch (error) {
    seen.bad.push(String(error));
  }
}
seen.generations = generations.size;
parentPort?.postMessage(seen);
