import type { Operation } from 'fast-json-patch';
import type { ConnectorKey } from '../connectors/address.ts';
import type { ImageSlot } from './images.ts';
import type { RawObject } from './raw.ts';

/** Why an image was rewritten or left alone. They stand in annotations: none is ever renamed. */
export type Reason =
  | 'Rewritten'
  | 'AlreadyProxied'
  | 'NoConnector'
  | 'ConnectorNotMatching'
  | 'ConnectorUnknown'
  | 'PullPolicyNever'
  | 'NameTooLong'
  | 'InvalidReference'
  | 'StaticPod'
  | 'Windows'
  | 'AgentlessNode'
  | 'ConnectorNotReady'
  | 'NoPullIdentity';

/** What is decided about an image, wherever it stands. */
export interface ImageVerdict {
  readonly reason: Reason;
  /** The image to put in place; undefined for one that stays. */
  readonly rewritten?: string;
  /** The connector that the image matches, names, or was told to use. */
  readonly connector?: ConnectorKey;
  /** Connectors of the same address that lost by name. */
  readonly rivals?: readonly ConnectorKey[];
  /** What `reason` leaves open, for people. */
  readonly message?: string;
}

export interface ImageDecision extends ImageVerdict {
  readonly slot: ImageSlot;
  /** The image as the pod's author wrote it, as far as that is known: `slot.image`, unless an earlier pass rewrote it. */
  readonly original: string;
}

/** How far a decision went. Only a `Decided` one has images. */
export type Outcome =
  | 'Decided'
  /** Neither the pod nor its namespace has the label. */
  | 'NotOptedIn'
  /** The pod's own label says "false". */
  | 'OptedOut'
  /** No change of this kind is ours: another subresource, an update of a static pod. */
  | 'NotCovered'
  /** Not the shape of a pod, or more images than any has: whoever validates it will say so. */
  | 'Malformed';

/** What becomes of a pod. Nothing of it ever refuses the pod. */
export interface Decision {
  readonly outcome: Outcome;
  /** The pod after the patch: it shares unchanged parts with the original, and is the original if nothing changed. */
  readonly pod: unknown;
  /** JSON Patch (RFC 6902) from the original to `pod`; empty if nothing changed. */
  readonly patch: readonly Operation[];
  readonly images: readonly ImageDecision[];
  /** For the user: ASCII, below 256 characters each. */
  readonly warnings: readonly string[];
  /** For the audit log of the API server. */
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

/** A decision before the patch is made of it. */
export interface PodDecision {
  readonly pod: RawObject;
  readonly images: readonly ImageDecision[];
}

/** Whether an image is pulled through us. */
export const isProxied = (image: ImageDecision): boolean =>
  image.reason === 'Rewritten' || image.reason === 'AlreadyProxied';
