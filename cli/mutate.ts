import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { openFolderStore } from '../connectors/folder-store.ts';
import { injectLabel } from '../webhook/annotations.ts';
import type { Decision } from '../webhook/decision.ts';
import { describeSlot } from '../webhook/images.ts';
import { type MutationSettings, mutatePod } from '../webhook/mutate-pod.ts';
import { defaultPullSecretName } from '../webhook/pull-secret.ts';
import type { Output } from './output.ts';
import { diffOf, toYaml } from './pod-diff.ts';
import { UsageError } from './usage-error.ts';

const formats = ['yaml', 'json', 'patch', 'diff'] as const;

const flags = z.object({
  filename: z.string({ error: '-f FILE is needed: a manifest of pods, or - for standard input' }).min(1),
  manifests: z.string({ error: '--manifests DIR is needed: the folder of Connectors and Namespaces' }).min(1),
  namespace: z.string().min(1).optional(),
  output: z.enum(formats, { error: `-o is one of ${formats.join(', ')}` }),
  imageHost: z.string().min(1),
});
type MutateSettings = z.infer<typeof flags>;

interface MutatedPod {
  readonly name: string;
  readonly before: unknown;
  readonly decision: Decision | undefined;
}

/**
 * Shows what the webhook would make of the pods in a file, without a cluster.
 * @throws UsageError, or Error for a file that cannot be used
 */
export async function mutate(options: unknown, output: Output): Promise<void> {
  const settings = readSettings(options);
  const documents = readDocuments(await readInput(settings.filename), settings.filename);
  const store = await openFolderStore({ folder: settings.manifests });
  await store.close();
  const pods = documents.map((document) => mutateDocument(document, settings, store.catalogue));
  for (const note of pods.flatMap((pod) => notesOn(pod, settings.output))) output.note(note);
  output.result(format(pods, settings.output));
}

function readSettings(options: unknown): MutateSettings {
  const parsed = flags.safeParse(options);
  if (parsed.success) return parsed.data;
  throw new UsageError(parsed.error.issues.map((issue) => issue.message).join('; '));
}

async function readInput(filename: string): Promise<string> {
  if (filename === '-') return text(process.stdin);
  return readFile(filename, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${filename} cannot be read: ${error.code}`);
  });
}

function readDocuments(yaml: string, filename: string): readonly Record<string, unknown>[] {
  const documents = [...parseAllDocuments(yaml)].filter((document) => document.contents !== null);
  const error = documents.flatMap((document) => document.errors)[0];
  if (error !== undefined) throw new Error(`${filename}: ${error.message}`);
  const values = documents.map((document) => document.toJS() as unknown);
  const objects = values.filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
  if (objects.length === 0 || objects.length < values.length)
    throw new Error(`${filename} does not hold Kubernetes objects`);
  return objects as Record<string, unknown>[];
}

function mutateDocument(
  document: Record<string, unknown>,
  settings: MutateSettings,
  catalogue: ConnectorCatalogue,
): MutatedPod {
  const metadata = (document['metadata'] ?? {}) as { name?: string; generateName?: string; namespace?: string };
  const name = `${String(document['kind'] ?? 'object')}/${metadata.name ?? metadata.generateName ?? 'unnamed'}`;
  if (document['kind'] !== 'Pod') return { name, before: document, decision: undefined };
  const namespace = settings.namespace ?? metadata.namespace ?? 'default';
  const webhook: MutationSettings = { proxyHost: settings.imageHost, pullSecretName: defaultPullSecretName };
  const decision = mutatePod({
    pod: document,
    operation: 'CREATE',
    subresource: '',
    namespace,
    catalogue,
    settings: webhook,
  });
  return { name, before: document, decision };
}

const outcomeSentences: Readonly<Record<Exclude<Decision['outcome'], 'Decided'>, string>> = {
  NotOptedIn: `neither the pod nor its namespace has the label ${injectLabel}: "true"`,
  OptedOut: `the pod has the label ${injectLabel}: "false"`,
  NotCovered: 'pods of this kind are left alone',
  Malformed: 'this is not the shape of a pod',
};

function notesOn({ name, decision }: MutatedPod, format: MutateSettings['output']): string[] {
  if (decision === undefined) return [`${name}: only pods are mutated; it is left as it is`];
  const warnings = decision.warnings.map((warning) => `${name}: warning: ${warning}`);
  if (decision.outcome !== 'Decided') return [...warnings, `${name}: ${outcomeSentences[decision.outcome]}`];
  if (format !== 'diff') return warnings;
  const images = decision.images.map(({ slot, original, reason, connector, message }) => {
    const facts = [reason, connector && formatKey(connector), message].filter(Boolean).join(', ');
    return `${name}: ${describeSlot(slot)}: ${original}: ${facts}`;
  });
  return [...warnings, ...images];
}

function format(pods: readonly MutatedPod[], output: MutateSettings['output']): string {
  const after = pods.map(({ before, decision }) => decision?.pod ?? before);
  switch (output) {
    case 'yaml':
      return after.map(toYaml).join('---\n');
    case 'json':
      return `${JSON.stringify(after.length === 1 ? after[0] : { apiVersion: 'v1', kind: 'List', items: after }, null, 2)}\n`;
    case 'patch':
      return pods.map(({ decision }) => `${JSON.stringify(decision?.patch ?? [])}\n`).join('');
    case 'diff':
      return pods.map(({ name, before, decision }) => diffOf(before, decision?.pod ?? before, name)).join('');
  }
}
