import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder on a tmpfs, ours alone, for as long as the test runs. */
export function memoryFolder(): string {
  const folder = mkdtempSync(join('/dev/shm', 'oci-connector-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
