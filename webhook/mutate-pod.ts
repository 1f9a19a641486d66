import jsonPatch from 'fast-json-patch';
import { formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { injectLabel } from '../connectors/labels.ts';
import { connectorAnnotation } from './annotations.ts';
import { auditAnnotationsOf } from './audit.ts';
import { chooseConnector } from './connector-choice.ts';
import type { Decision, ImageDecision, Outcome, PodDecision } from './decision.ts';
import { describeSlot, type ImageSlot, imageSlots } from './images.ts';
import { optInOf } from './opt-in.ts';
import { type AgentlessNodes, annotationOf, exemptionOf, type Pod, readPod } from './pod.ts';
import { decideCreate, type PodScope } from './pod-create.ts';
import { decideEphemeral, decideUpdate } from './pod-update.ts';
import { Warnings } from './warnings.ts';

/** No real pod comes near; a body of 8 MiB can hold 600,000, whose patch would be a hundred megabytes. */
const imagesMax = 1000;

export interface MutationSettings {
  /** Host and port that stand before rewritten images: where the node agent listens. */
  readonly proxyHost: string;
  /** Name of the pull secret to add; undefined where pulls need none. */
  readonly pullSecretName: string | undefined;
  readonly agentless?: AgentlessNodes | undefined;
  /** False where no CSI driver is installed: a pod with its volume would never start. */
  readonly hasCsiDriver?: boolean;
}

export interface MutationInput {
  /** The raw pod, of which nothing is changed or believed to be well formed. */
  readonly pod: unknown;
  /** The raw pod before an UPDATE. */
  readonly oldPod?: unknown;
  readonly operation: 'CREATE' | 'UPDATE';
  /** Empty for the pod itself, `ephemeralcontainers` for those, anything else is left alone. */
  readonly subresource: string;
  /** The namespace of the request, whatever the pod says. */
  readonly namespace: string;
  /**
   * Whose label the API server sent the request for. It knows the label of a namespace before we do. A pod by itself,
   * in a namespace without the label, has to bring its pull identity: nobody keeps one there. Undefined where only the
   * labels tell.
   */
  readonly selectedBy?: 'namespace' | 'pod' | undefined;
  readonly catalogue: ConnectorCatalogue;
  readonly settings: MutationSettings;
}

/** The whole decision about a pod, without any input or output. Deciding about the result again changes nothing. */
export function mutatePod(input: MutationInput): Decision {
  const warnings = new Warnings();
  const pod = readPod(input.pod);
  if (pod === undefined) return untouched(input, 'Malformed', warnings);
  const namespace = input.catalogue.namespace(input.namespace)?.metadata;
  const namespaceLabels = input.selectedBy === 'namespace' ? { [injectLabel]: 'true' } : namespace?.labels;
  const optIn = optInOf(pod.labels, namespaceLabels, warnings);
  if (optIn !== 'in') return untouched(input, optIn === 'out' ? 'OptedOut' : 'NotOptedIn', warnings);
  const decide = deciderOf(input, pod);
  if (decide === undefined) return untouched(input, 'NotCovered', warnings);
  const slots = imageSlots(pod.spec);
  if (slots.length > imagesMax) {
    warnings.add(`the pod is left alone: it has more than ${imagesMax} images`);
    return untouched(input, 'Malformed', warnings);
  }
  const { catalogue, settings } = input;
  const chosen = annotationOf(pod, namespace?.annotations, connectorAnnotation);
  const decided = decide(slots, {
    proxyHost: settings.proxyHost,
    pullSecretName: settings.pullSecretName,
    agentless: settings.agentless,
    hasCsiDriver: settings.hasCsiDriver ?? true,
    mustBringIdentity: input.selectedBy === 'pod',
    namespace: input.namespace,
    catalogue,
    choice: chooseConnector(chosen, input.namespace, catalogue, warnings),
    namespaceAnnotations: namespace?.annotations,
    warnings,
  });
  warnOfImages(decided.images, catalogue, warnings);
  return {
    outcome: 'Decided',
    pod: decided.pod,
    patch: decided.pod === pod.raw ? [] : jsonPatch.compare(pod.raw, decided.pod),
    images: decided.images,
    warnings: warnings.list(),
    auditAnnotations: auditAnnotationsOf(decided.images),
  };
}

const untouched = (input: MutationInput, outcome: Outcome, warnings: Warnings): Decision => ({
  outcome,
  pod: input.pod,
  patch: [],
  images: [],
  warnings: warnings.list(),
  auditAnnotations: {},
});

type Decide = (slots: readonly ImageSlot[], scope: PodScope) => PodDecision;

/** How a request of this kind is decided; undefined where it is none of ours. */
function deciderOf(input: MutationInput, pod: Pod): Decide | undefined {
  const { operation, subresource } = input;
  if (operation === 'CREATE') return subresource === '' ? (slots, scope) => decideCreate(pod, slots, scope) : undefined;
  const oldPod = readPod(input.oldPod);
  if (oldPod === undefined || exemptionOf(pod) === 'StaticPod') return undefined;
  if (subresource === '') return (slots, scope) => decideUpdate(pod, oldPod, slots, scope);
  return subresource === 'ephemeralcontainers'
    ? (slots, scope) => decideEphemeral(pod, oldPod, slots, scope)
    : undefined;
}

function warnOfImages(images: readonly ImageDecision[], catalogue: ConnectorCatalogue, warnings: Warnings): void {
  for (const { slot, reason, connector, message } of images) {
    if (reason === 'NameTooLong') warnings.add(`image of ${describeSlot(slot)} is left alone: ${message}`);
    if (connector === undefined || (reason !== 'Rewritten' && reason !== 'ConnectorNotMatching')) continue;
    const problem = catalogue.connector(connector)?.problems[0];
    if (problem !== undefined) {
      warnings.add(`connector ${formatKey(connector)} cannot be used at present: ${problem.reason}`);
    }
  }
}
