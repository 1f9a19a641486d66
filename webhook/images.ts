import { isObject, listOf, type RawObject, textOf } from './raw.ts';

const imageLists = ['containers', 'initContainers', 'ephemeralContainers', 'volumes'] as const;
export type ImageList = (typeof imageLists)[number];

/** A place in a pod where an image stands. */
export interface ImageSlot {
  readonly list: ImageList;
  readonly index: number;
  /** Name of the container or volume; `containers[0]` where it has none. */
  readonly name: string;
  readonly image: string;
  readonly pullPolicy: string | undefined;
}

/** Every image of a pod, the main containers first. What is no container, or has no image, has no slot. */
export function imageSlots(spec: RawObject): readonly ImageSlot[] {
  const slots: ImageSlot[] = [];
  for (const list of imageLists) {
    const items = listOf(spec[list]) ?? [];
    for (let index = 0; index < items.length; index++) {
      const slot = slotOf(list, index, items[index]);
      if (slot !== undefined) slots.push(slot);
    }
  }
  return slots;
}

function slotOf(list: ImageList, index: number, item: unknown): ImageSlot | undefined {
  if (!isObject(item)) return undefined;
  const name = textOf(item['name']) || `${list}[${index}]`;
  if (list !== 'volumes') return toSlot(list, index, name, item['image'], item['imagePullPolicy']);
  const source = item['image'];
  return isObject(source) ? toSlot(list, index, name, source['reference'], source['pullPolicy']) : undefined;
}

function toSlot(list: ImageList, index: number, name: string, image: unknown, policy: unknown): ImageSlot | undefined {
  return typeof image === 'string' ? { list, index, name, image, pullPolicy: textOf(policy) } : undefined;
}

export interface ImageChange {
  readonly slot: ImageSlot;
  readonly rewritten: string;
}

/** The spec with the images of `changes`, sharing all that does not change; the same object for no changes. */
export function withImages(spec: RawObject, changes: readonly ImageChange[]): RawObject {
  const changed: Partial<Record<ImageList, unknown[]>> = {};
  for (const { slot, rewritten } of changes) {
    changed[slot.list] ??= [...(listOf(spec[slot.list]) ?? [])];
    const items = changed[slot.list] ?? [];
    items[slot.index] = withImage(items[slot.index] as RawObject, slot.list, rewritten);
  }
  return changes.length === 0 ? spec : { ...spec, ...changed };
}

function withImage(item: RawObject, list: ImageList, image: string): RawObject {
  if (list !== 'volumes') return { ...item, image };
  return { ...item, image: { ...(item['image'] as RawObject), reference: image } };
}

/** The slots whose image is not the one that `oldSpec` has under the same name. */
export function changedSlots(slots: readonly ImageSlot[], oldSpec: RawObject): readonly ImageSlot[] {
  const placeOf = (slot: ImageSlot) => `${slot.list} ${slot.name}`;
  const oldImages = new Map(imageSlots(oldSpec).map((slot) => [placeOf(slot), slot.image]));
  return slots.filter((slot) => oldImages.get(placeOf(slot)) !== slot.image);
}

/** `container "app"` or `volume "models"`. */
export const describeSlot = (slot: ImageSlot): string =>
  `${slot.list === 'volumes' ? 'volume' : 'container'} "${slot.name}"`;
