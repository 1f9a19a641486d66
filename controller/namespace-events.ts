import type { EventRecorder } from '../platform/kubernetes/events.ts';
import type { KubernetesObject, Resource } from '../platform/kubernetes/object.ts';
import { reportingController } from './ownership.ts';

type Events = Pick<EventRecorder, 'record'>;

/** An object that is not ours has the name of one of ours. */
export function reportForeign(events: Events, { kind }: Resource, { metadata }: KubernetesObject): Promise<void> {
  const { namespace = '', name } = metadata;
  const harm = kind === 'RoleBinding' ? 'may not pull through its connectors' : 'have no pull secret';
  const note =
    `${kind} ${name} was not made by oci-connector and is left alone, so accounts of this namespace ${harm}: ` +
    'delete it, or rename it, and ours takes its place at once';
  return report(events, namespace, `Foreign${kind}`, note);
}

/** What the API server says against it: a quota, a policy, a right that the controller lacks. */
export function reportFailure(events: Events, namespace: string, error: unknown): Promise<void> {
  const note = `what pods need to pull through connectors cannot be kept here: ${(error as Error).message}`;
  return report(events, namespace, 'OptInFailed', note);
}

/** In the namespace itself, where its people look. */
function report(events: Events, namespace: string, reason: string, note: string): Promise<void> {
  return events.record({
    regarding: { apiVersion: 'v1', kind: 'Namespace', name: namespace, namespace },
    ...{ type: 'Warning', reason, action: 'OptIn', note },
    reportingController,
  });
}
