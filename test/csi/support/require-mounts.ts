import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { findPart } from '../../real/support/find-part.ts';
import { markMissing } from '../../real/support/missing-parts.ts';
import type { PartName } from '../../real/support/part-names.ts';

/**
 * `describe` for a suite that mounts: skipped and listed at the end of the run where this machine does not let us, failed
 * with CI=true.
 */
export function requireMounts(...parts: readonly PartName[]): (suite: string, body: () => void) => void {
  const missing: PartName[] = (['mount', ...parts] as const).filter((name) => findPart(name) === undefined);
  if (missing.length === 0 && !canMount()) missing.push('root');
  if (missing.length === 0) return (suite, body) => describe(suite, body);
  if (process.env['CI'] !== 'true') return (suite, body) => describe.skip(markMissing(suite, missing), body);
  return (suite) =>
    describe(suite, () => {
      test.each(missing)('has %s', (name) => {
        throw new Error(`${name} is missing, or mounts are forbidden`);
      });
    });
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'csi-can-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'probe', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}
