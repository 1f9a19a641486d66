import { z } from 'zod';
import type { Connector } from './schema.ts';

/**
 * The types of conditions on a Connector, causes before what follows from them: the first that is False is what
 * somebody has to mend.
 */
export const conditionTypes = [
  'ConnectorClassReady',
  'SecretReady',
  'CACertReady',
  'LivenessReady',
  'AuthReady',
  'ProxyServiceReady',
] as const;

/** Sums up the others. */
export const readyCondition = 'Ready';
/** False, with severity Info, where a document has fields that we accept and do not act on. No part of Ready. */
export const specSupportedCondition = 'SpecSupported';

const itemsMax = 64;

const conditionSchema = z.object({
  type: z.string().min(1).max(316).describe('What the condition is about: Ready sums up the others.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: z.string().max(1024).optional().describe('Why, in one word for machines.'),
  message: z.string().max(32768).optional().describe('Why, and what to do, for people.'),
  severity: z.string().max(64).optional().describe('Info for what does not keep the connector from being used.'),
  lastTransitionTime: z.iso.datetime({ offset: true }).optional().describe('When the status became what it is.'),
});

const addressable = z.object({
  url: z.string().max(2048).optional().describe('Address of the proxy for this connector, within the cluster.'),
  CACerts: z.string().optional().describe('PEM certificates to verify the address with, where it is https.'),
  audience: z.string().max(1024).optional().describe('Audience of the service account tokens that the proxy takes.'),
  name: z.string().max(253).optional().describe('Name of the address.'),
});

/** `Connector.status`, which the controller alone writes. */
export const connectorStatusSchema = z.object({
  observedGeneration: z.int().nonnegative().optional().describe('The generation of the spec that this is about.'),
  conditions: z
    .array(conditionSchema)
    .max(itemsMax)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .describe('What is known of the connector.'),
  proxy: z
    .object({
      httpAddress: addressable.optional().describe('Where pods reach the registry through the proxy.'),
      nodeAddress: z
        .string()
        .max(1024)
        .optional()
        .describe('What stands before the repository in images that nodes pull: host:port/path, without a scheme.'),
    })
    .optional()
    .describe('Addresses of the proxy.'),
});

export type ConnectorStatus = z.infer<typeof connectorStatusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
/** What is known now; when its status became so is found by `setCondition`. */
export type Finding = Omit<Condition, 'lastTransitionTime'>;

/** The status of a Connector as it was read; empty where it has none or one that cannot be read. */
export function statusOf(connector: Pick<Connector, 'status'>): ConnectorStatus {
  return connectorStatusSchema.safeParse(connector.status).data ?? {};
}

export function conditionOf(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/**
 * The conditions with `finding` among them. `lastTransitionTime` changes only with the status. Answers with the same
 * array where nothing has changed, so that nothing need be written.
 * @param now milliseconds since the epoch
 */
export function setCondition(conditions: readonly Condition[], finding: Finding, now: number): readonly Condition[] {
  const at = conditions.findIndex((condition) => condition.type === finding.type);
  const before = conditions[at];
  const since = before?.status === finding.status ? before.lastTransitionTime : undefined;
  const after: Condition = { ...finding, lastTransitionTime: since ?? toKubernetesTime(now) };
  if (before === undefined) return [...conditions, after];
  return isSame(before, after) ? conditions : conditions.with(at, after);
}

/** Fields that are empty and fields that are absent are the same to the Kubernetes API. */
function isSame(a: Condition, b: Condition): boolean {
  const fields = ['status', 'reason', 'message', 'severity', 'lastTransitionTime'] as const;
  return fields.every((field) => (a[field] ?? '') === (b[field] ?? ''));
}

/** `metav1.Time` has whole seconds. */
const toKubernetesTime = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * What Ready says of the other conditions: False with the reason of the first cause that is False, Unknown where one is
 * unknown or not there yet, True otherwise. Conditions of severity Info do not count.
 */
export function summarize(conditions: readonly Condition[]): Finding {
  const counted = conditions.filter((condition) => condition.type !== readyCondition && condition.severity !== 'Info');
  const failed = inOrderOfCause(counted.filter((condition) => condition.status === 'False'))[0];
  if (failed !== undefined) return summary('False', failed.reason ?? failed.type, failed.message ?? '');
  const unknown = inOrderOfCause(counted.filter((condition) => condition.status === 'Unknown'))[0];
  if (unknown !== undefined) return summary('Unknown', unknown.reason ?? unknown.type, unknown.message ?? '');
  const missing = conditionTypes.find((type) => conditionOf(counted, type) === undefined);
  if (missing !== undefined) return summary('Unknown', 'Pending', `${missing} has not been looked at yet`);
  return summary('True', 'Ready', '');
}

const summary = (status: Finding['status'], reason: string, message: string): Finding => ({
  type: readyCondition,
  status,
  reason,
  message,
});

function inOrderOfCause(conditions: readonly Condition[]): readonly Condition[] {
  const known: readonly string[] = conditionTypes;
  // What we do not know of comes first: somebody added it for a reason, such as an invalid spec.
  return conditions.toSorted((a, b) => known.indexOf(a.type) - known.indexOf(b.type));
}
