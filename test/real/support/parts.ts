import { describe, test } from 'vitest';
import { findPart, partPath } from './find-part.ts';
import { markMissing } from './missing-parts.ts';
import type { PartName } from './part-names.ts';

/**
 * `describe` for a suite that needs real parts: `requireParts('crane', 'registry')('pulls …', () => { … })`.
 * Where one is missing the suite is skipped and listed at the end of the run; with CI=true it fails instead.
 * The body is still collected when skipped: it may use parts in tests and hooks only.
 */
export function requireParts(...names: readonly PartName[]): (suite: string, body: () => void) => void {
  const missing = names.filter((name) => findPart(name) === undefined);
  if (missing.length === 0) return (suite, body) => describe(suite, body);
  if (process.env['CI'] !== 'true') return (suite, body) => describe.skip(markMissing(suite, missing), body);
  return (suite) =>
    describe(suite, () => {
      test.each(missing)('has the real part %s', (name) => {
        partPath(name);
      });
    });
}
