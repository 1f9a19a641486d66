import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { openFolderStore } from '../connectors/folder-store.ts';
import { injectLabel } from '../connectors/labels.ts';
import { pullSecretName } from '../connectors/pull-identity.ts';
import type { Decision } from '../webhook/decision.ts';
import { describeSlot } from '../webhook/images.ts';
import { type MutationSettings, mutatePod } from '../webhook/mutate-pod.ts';
import { objectOf, type RawObject, textOf } from '../webhook/raw.ts';
import { manifests, namespace, readFlags } from './flags.ts';
import { imageHost } from './image-host.ts';
import { readObjects } from './object-stream.ts';
import type { Output } from './output.ts';
import { diffOf } from './pod-diff.ts';
import { toYaml } from './to-yaml.ts';

const formats = ['yaml', 'json', 'patch', 'diff'] as const;

const flags = z.object({
  filename: z
    .string({ error: '-f FILE is needed: a manifest of pods, or - for standard input' })
    .min(1, '-f is empty: name a manifest of pods, or - for standard input'),
  manifests,
  namespace: namespace.optional(),
  output: z.enum(formats, { error: `-o is one of ${formats.join(', ')}` }),
  imageHost,
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
  const settings = readFlags(flags, options);
  const objects = readObjects(await readInput(settings.filename), nameOf(settings.filename));
  const store = await openFolderStore({ folder: settings.manifests });
  await store.close();
  const pods = objects.map((object) => mutateObject(object, settings, store.catalogue));
  for (const note of pods.flatMap((pod) => notesOn(pod, settings.output))) output.note(note);
  output.result(format(pods, settings.output));
}

async function readInput(filename: string): Promise<string> {
  if (filename === '-') return text(process.stdin);
  return readFile(filename, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${filename} cannot be read: ${error.code}`);
  });
}

const nameOf = (filename: string): string => (filename === '-' ? 'standard input' : filename);

function mutateObject(object: RawObject, settings: MutateSettings, catalogue: ConnectorCatalogue): MutatedPod {
  const metadata = objectOf(object['metadata']) ?? {};
  const called = textOf(metadata['name']) ?? textOf(metadata['generateName']) ?? 'unnamed';
  const name = `${textOf(object['kind']) ?? 'object'}/${called}`;
  if (object['kind'] !== 'Pod') return { name, before: object, decision: undefined };
  const namespace = settings.namespace ?? textOf(metadata['namespace']) ?? 'default';
  const webhook: MutationSettings = { proxyHost: settings.imageHost, pullSecretName };
  const decision = mutatePod({
    pod: object,
    operation: 'CREATE',
    subresource: '',
    namespace,
    catalogue,
    settings: webhook,
  });
  return { name, before: object, decision };
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
