/**
 * The annotation `connectors.cpaas.io/decision`: compact JSON that says of each image what was decided and why.
 * Whoever makes a pod can write it, so it is evidence for people and never a ground for a decision: what it says is
 * only kept where deciding again gives the same.
 */
import { formatKey } from '../connectors/address.ts';
import { parseJson } from '../platform/json.ts';
import { decisionAnnotation } from './annotations.ts';
import type { ImageDecision, Reason } from './decision.ts';
import type { ImageList, ImageSlot } from './images.ts';
import { isObject, type RawObject, textOf } from './raw.ts';
import type { Warnings } from './warnings.ts';

/** One image in the annotation. Exactly one of `container` and `volume` is there. */
export interface DecisionEntry {
  readonly container?: string;
  readonly volume?: string;
  readonly original: string;
  readonly rewritten?: string;
  /** `namespace/name`. */
  readonly connector?: string;
  readonly reason: Reason;
  readonly message?: string;
}

/** The annotation's value. */
export interface DecisionDocument {
  readonly version: 1;
  readonly images: readonly DecisionEntry[];
  /** How many images of the pod are not listed. */
  readonly omitted?: number;
}

/** The API server takes 256 KiB of annotations per object (k8s.io/apimachinery, TotalAnnotationSizeLimitB). */
const totalBytesMax = 256 * 1024;
/** More than the largest value: each entry stays below 4 KiB by the limits below. */
const valueBytesMax = 128 * 1024;
const entriesMax = 32;
const nameLengthMax = 63;
/** Of images that were not rewritten; the others are references, which the parser bounds. */
const originalLengthMax = 255;
const messageLengthMax = 200;

const clip = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length)}...`);
const nameOf = (slot: ImageSlot): string => clip(slot.name, nameLengthMax);

function toEntry({ slot, original, rewritten, connector, reason, message }: ImageDecision): DecisionEntry {
  return {
    ...(slot.list === 'volumes' ? { volume: nameOf(slot) } : { container: nameOf(slot) }),
    original: rewritten === undefined ? clip(original, originalLengthMax) : original,
    ...(rewritten === undefined ? {} : { rewritten }),
    ...(connector === undefined ? {} : { connector: formatKey(connector) }),
    reason,
    ...(message === undefined ? {} : { message: clip(message, messageLengthMax) }),
  };
}

function formatDecision(images: readonly ImageDecision[]): string {
  const omitted = images.length - entriesMax;
  const entries = images.slice(0, entriesMax).map(toEntry);
  const document: DecisionDocument = { version: 1, images: entries, ...(omitted > 0 ? { omitted } : {}) };
  return JSON.stringify(document);
}

/**
 * The annotations with the decision. Where the others leave no room for it they stay as they are: what we add must not
 * be what makes the API server refuse a pod.
 */
export function withDecision(annotations: RawObject, images: readonly ImageDecision[], warnings: Warnings): RawObject {
  if (!hasRoom(annotations)) {
    warnings.add(`annotation ${decisionAnnotation} is not written: the pod's other annotations leave no room`);
    return annotations;
  }
  const value = formatDecision(images);
  return annotations[decisionAnnotation] === value ? annotations : { ...annotations, [decisionAnnotation]: value };
}

/** Does not look at the decision itself, which is shorter the second time: twice has to be the same as once. */
function hasRoom(annotations: RawObject): boolean {
  let bytes = 0;
  for (const [name, value] of Object.entries(annotations)) {
    if (name === decisionAnnotation || typeof value !== 'string') continue;
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes <= totalBytesMax - valueBytesMax;
}

const keyOf = (isVolume: boolean, name: string, rewritten: string): string =>
  JSON.stringify([isVolume, name, rewritten]);
const isVolume = (list: ImageList): boolean => list === 'volumes';

/** What an earlier pass claims to have rewritten. */
export class EarlierDecision {
  readonly #originals: ReadonlyMap<string, string[]>;

  constructor(value: unknown) {
    this.#originals = typeof value === 'string' ? readOriginals(value) : new Map();
  }

  /** The next original that is claimed for a slot's present image; each claim is handed out once. */
  claim(slot: ImageSlot): string | undefined {
    return this.#originals.get(keyOf(isVolume(slot.list), nameOf(slot), slot.image))?.shift();
  }
}

function readOriginals(value: string): ReadonlyMap<string, string[]> {
  const originals = new Map<string, string[]>();
  const document = parseJson(value);
  if (!isObject(document) || document['version'] !== 1 || !Array.isArray(document['images'])) return originals;
  for (const entry of document['images']) {
    if (!isObject(entry)) continue;
    const name = textOf(entry['volume']) ?? textOf(entry['container']);
    const original = textOf(entry['original']);
    const rewritten = textOf(entry['rewritten']);
    if (name === undefined || original === undefined || rewritten === undefined) continue;
    const key = keyOf(entry['volume'] !== undefined, name, rewritten);
    const claims = originals.get(key);
    if (claims === undefined) originals.set(key, [original]);
    else claims.push(original);
  }
  return originals;
}
