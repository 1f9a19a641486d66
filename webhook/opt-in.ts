import { injectLabel } from '../connectors/labels.ts';
import type { RawObject } from './raw.ts';
import { quote, type Warnings } from './warnings.ts';

export type OptIn = 'in' | 'out' | 'none';

/** Whether a pod takes part. Its own label wins over that of its namespace; only "true" opts in, only "false" opts out. */
export function optInOf(labels: RawObject, namespaceLabels: RawObject | undefined, warnings: Warnings): OptIn {
  const own = labels[injectLabel];
  if (own === 'true') return 'in';
  if (own === 'false') return 'out';
  if (own !== undefined) {
    const value = typeof own === 'string' ? quote(own) : 'no text';
    warnings.add(`label ${injectLabel} of the pod is ${value} and ignored: write "true" or "false"`);
  }
  return namespaceLabels?.[injectLabel] === 'true' ? 'in' : 'none';
}
