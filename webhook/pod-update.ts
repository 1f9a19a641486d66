import { withEphemeralMounts } from './config-volume.ts';
import { decideImage } from './decide-image.ts';
import type { ImageDecision, PodDecision } from './decision.ts';
import { changedSlots, type ImageSlot, withImages } from './images.ts';
import { exemptionOf, type Pod, withParts } from './pod.ts';
import { changesOf, type PodScope, withIdentity, withoutIdentity } from './pod-create.ts';
import { hasPullIdentity } from './pull-secret.ts';

/** Decides about an update of a pod: images that are not those of the old pod, and nothing else (the API allows no more). */
export function decideUpdate(pod: Pod, oldPod: Pod, slots: readonly ImageSlot[], scope: PodScope): PodDecision {
  const images = withIdentity(pod, decideSlots(pod, changedSlots(slots, oldPod.spec), scope), scope);
  if (images.some(isRewritten) && !hasPullIdentity(pod.spec, scope.pullSecretName)) {
    scope.warnings.add(`the pod has no pull secret "${scope.pullSecretName}", so its changed image may not be pulled`);
  }
  return withDecided(pod, images);
}

/**
 * Decides about an update of `pods/ephemeralcontainers`: the new ones only, their images and client configurations. The
 * pull secret cannot be added to a pod that runs, so without it an image stays with the registry that it names.
 */
export function decideEphemeral(pod: Pod, oldPod: Pod, slots: readonly ImageSlot[], scope: PodScope): PodDecision {
  const ephemeral = slots.filter((slot) => slot.list === 'ephemeralContainers');
  const decided = decideSlots(pod, changedSlots(ephemeral, oldPod.spec), scope);
  // The old pod's: what else the new one changes, the API server drops.
  const images = hasPullIdentity(oldPod.spec, scope.pullSecretName)
    ? decided
    : decided.map((image) =>
        isRewritten(image) ? withoutIdentity(image, scope, 'and it cannot be added now') : image,
      );
  const isExempt = exemptionOf(pod, scope.agentless) !== undefined;
  return withDecided(pod, images, isExempt ? pod.spec : withEphemeralMounts(pod.spec, oldPod.spec, scope));
}

const isRewritten = (image: ImageDecision): boolean => image.reason === 'Rewritten';

function decideSlots(pod: Pod, slots: readonly ImageSlot[], scope: PodScope): readonly ImageDecision[] {
  const exemption = exemptionOf(pod, scope.agentless);
  return slots.map((slot) => ({
    slot,
    original: slot.image,
    ...(exemption === undefined ? decideImage(slot.image, slot.pullPolicy, scope) : { reason: exemption }),
  }));
}

const withDecided = (pod: Pod, images: readonly ImageDecision[], spec = pod.spec): PodDecision => ({
  pod: withParts(pod, { spec: withImages(spec, changesOf(images)) }),
  images,
});
