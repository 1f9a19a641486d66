/** A suite that cannot run for want of real parts carries their names at the end of its own: the reporter reads them there. */
const marker = /^(?<suite>.*) \[missing: (?<parts>[^\]]+)\]$/s;

/** The name under which a suite is skipped. */
export function markMissing(suite: string, parts: readonly string[]): string {
  return `${suite} [missing: ${parts.join(', ')}]`;
}

/** What `markMissing` put into a suite's name, or undefined where the suite lacks nothing. */
export function readMissing(name: string): { readonly suite: string; readonly parts: readonly string[] } | undefined {
  const groups = marker.exec(name)?.groups;
  if (groups === undefined) return undefined;
  return { suite: groups['suite'] ?? '', parts: (groups['parts'] ?? '').split(', ') };
}
