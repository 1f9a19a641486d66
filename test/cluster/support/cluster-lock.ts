import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until no other process starts, has or removes the cluster of `folder`, and keeps others away until the answer
 * is called. SQLite's lock on a file is the kernel's, which lets go of it when a process dies.
 */
export async function lockCluster(folder: string, timeoutMs: number): Promise<() => void> {
  const endAt = performance.now() + timeoutMs;
  for (;;) {
    const lock = new DatabaseSync(`${folder}.lock`, { timeout: 0 });
    try {
      lock.exec('BEGIN EXCLUSIVE');
      return () => lock.close();
    } catch (error) {
      lock.close();
      if (performance.now() > endAt) throw new Error(`another process has the cluster of ${folder}`, { cause: error });
    }
    await delay(200);
  }
}
