import { formatKey } from '../connectors/address.ts';
import type { ImageDecision } from './decision.ts';
import { toAscii } from './warnings.ts';

const valueLengthMax = 512;

/** For the audit log: how many images for which reason, and through which connectors. The API server adds our name to the keys. */
export function auditAnnotationsOf(images: readonly ImageDecision[]): Readonly<Record<string, string>> {
  if (images.length === 0) return {};
  const counts = new Map<string, number>();
  const connectors = new Set<string>();
  for (const { reason, connector } of images) {
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
    if (connector !== undefined) connectors.add(formatKey(connector));
  }
  const decision = [...counts].map(([reason, count]) => `${reason}=${count}`).join(',');
  if (connectors.size === 0) return { decision };
  return { decision, connectors: toAscii([...connectors].join(','), valueLengthMax) };
}
