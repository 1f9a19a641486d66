import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import { configurationParamsAnnotation, configurationsAnnotation, decisionAnnotation } from './annotations.ts';
import { withConfigVolume } from './config-volume.ts';
import { wantedConfigurations } from './configurations.ts';
import { decideImage, type ImageScope } from './decide-image.ts';
import { type ImageDecision, isProxied, type PodDecision } from './decision.ts';
import { EarlierDecision, withDecision } from './decision-annotation.ts';
import { describeSlot, type ImageChange, type ImageSlot, withImages } from './images.ts';
import { type AgentlessNodes, annotationOf, exemptionOf, type Pod, withParts } from './pod.ts';
import { hasPullIdentity, withPullSecret } from './pull-secret.ts';
import type { RawObject } from './raw.ts';
import type { Warnings } from './warnings.ts';

/** What a pod that opted in is decided by. */
export interface PodScope extends ImageScope {
  readonly catalogue: ConnectorCatalogue;
  readonly pullSecretName: string | undefined;
  readonly agentless?: AgentlessNodes | undefined;
  readonly hasCsiDriver: boolean;
  /** No pull secret is added: a pod without one keeps its images. */
  readonly mustBringIdentity?: boolean;
  readonly namespaceAnnotations: RawObject | undefined;
  readonly warnings: Warnings;
}

/** Decides about a new pod: its images, its pull secret, its client configurations, and the annotation that says so. */
export function decideCreate(pod: Pod, slots: readonly ImageSlot[], scope: PodScope): PodDecision {
  if (slots.length === 0) return { pod: pod.raw, images: [] };
  const exemption = exemptionOf(pod, scope.agentless);
  if (exemption !== undefined) {
    const images = slots.map((slot): ImageDecision => ({ slot, original: slot.image, reason: exemption }));
    return { pod: withParts(pod, { annotations: annotate(pod, images, scope), spec: pod.spec }), images };
  }
  const images = withIdentity(pod, decideImages(pod, slots, scope), scope);
  const spec = withClientConfigurations(pod, withPulls(pod.spec, images, scope), images, scope);
  return { pod: withParts(pod, { annotations: annotate(pod, images, scope), spec }), images };
}

/** The decisions as they stand, but where the pod has to bring its pull identity, and does not. */
export function withIdentity(pod: Pod, images: readonly ImageDecision[], scope: PodScope): readonly ImageDecision[] {
  if (scope.mustBringIdentity !== true || hasPullIdentity(pod.spec, scope.pullSecretName)) return images;
  const why = 'its namespace has no label, and the pod does not name it';
  return images.map((image) => (image.reason === 'Rewritten' ? withoutIdentity(image, scope, why) : image));
}

/** An image that stays as it is because its pull could not be identified, and a warning that says so. */
export function withoutIdentity(
  { slot, original, connector }: ImageDecision,
  { pullSecretName, warnings }: PodScope,
  why: string,
): ImageDecision {
  const message = `the pod has no pull secret "${pullSecretName}": ${why}`;
  warnings.add(`image of ${describeSlot(slot)} is left alone: ${message}`);
  return { slot, original, reason: 'NoPullIdentity', message, ...(connector === undefined ? {} : { connector }) };
}

function decideImages(pod: Pod, slots: readonly ImageSlot[], scope: PodScope): readonly ImageDecision[] {
  const earlier = new EarlierDecision(pod.annotations[decisionAnnotation]);
  return slots.map((slot) => {
    const verdict = decideImage(slot.image, slot.pullPolicy, scope);
    const decision = { slot, original: slot.image, ...verdict };
    return verdict.reason === 'AlreadyProxied' ? (rewrittenEarlier(slot, earlier, scope) ?? decision) : decision;
  });
}

/** The decision of an earlier pass over the same pod, if it would be the same today. */
function rewrittenEarlier(slot: ImageSlot, earlier: EarlierDecision, scope: PodScope): ImageDecision | undefined {
  for (let original = earlier.claim(slot); original !== undefined; original = earlier.claim(slot)) {
    const verdict = decideImage(original, slot.pullPolicy, scope);
    if (verdict.rewritten === slot.image) return { slot, original, ...verdict };
  }
  return undefined;
}

function withPulls(spec: RawObject, images: readonly ImageDecision[], scope: PodScope): RawObject {
  const withNames = withImages(spec, changesOf(images));
  return images.some(isProxied) ? withPullSecret(withNames, scope.pullSecretName) : withNames;
}

/** The images that have to be put in place: not those of an earlier pass. */
export function changesOf(images: readonly ImageDecision[]): readonly ImageChange[] {
  const changes: ImageChange[] = [];
  for (const { slot, rewritten } of images) {
    if (rewritten !== undefined && rewritten !== slot.image) changes.push({ slot, rewritten });
  }
  return changes;
}

function withClientConfigurations(
  pod: Pod,
  spec: RawObject,
  images: readonly ImageDecision[],
  scope: PodScope,
): RawObject {
  const names = annotationOf(pod, scope.namespaceAnnotations, configurationsAnnotation);
  if (names === undefined) return spec;
  if (!scope.hasCsiDriver) {
    scope.warnings.add(
      `annotation ${configurationsAnnotation} has no effect: the CSI driver is not installed (csi.enabled)`,
    );
    return spec;
  }
  const params = annotationOf(pod, scope.namespaceAnnotations, configurationParamsAnnotation);
  const wanted = wantedConfigurations({ names, params }, images, scope);
  return wanted === undefined ? spec : withConfigVolume(spec, wanted, scope.warnings);
}

const annotate = (pod: Pod, images: readonly ImageDecision[], scope: PodScope): RawObject =>
  withDecision(pod.annotations, images, scope.warnings);
