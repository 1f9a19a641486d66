import { mirrorAnnotation } from './annotations.ts';
import { isObject, objectOf, type RawObject, textOf } from './raw.ts';

/** A raw pod, and the parts of it that decisions are made by. */
export interface Pod {
  readonly raw: RawObject;
  readonly metadata: RawObject;
  readonly labels: RawObject;
  readonly annotations: RawObject;
  readonly spec: RawObject;
}

/** Undefined for what cannot be a pod: without metadata or spec, or with annotations that nothing can be added to. */
export function readPod(raw: unknown): Pod | undefined {
  if (!isObject(raw)) return undefined;
  const { metadata, spec } = raw;
  if (!isObject(metadata) || !isObject(spec)) return undefined;
  const annotations = objectOf(metadata['annotations']);
  if (annotations === undefined) return undefined;
  return { raw, metadata, labels: objectOf(metadata['labels']) ?? {}, annotations, spec };
}

/** The pod with other parts, sharing whatever is the same; the same object when both parts are. */
export function withParts(pod: Pod, parts: { annotations?: RawObject; spec: RawObject }): RawObject {
  const { annotations = pod.annotations, spec } = parts;
  if (annotations === pod.annotations && spec === pod.spec) return pod.raw;
  const metadata = annotations === pod.annotations ? pod.metadata : { ...pod.metadata, annotations };
  return { ...pod.raw, metadata, spec };
}

/** Labels of nodes that have no agent, as virtual ones: a pod that is bound to any of them is not for us. */
export type AgentlessNodes = readonly { readonly label: string; readonly value: string }[];

/** Why no image of a pod is touched, whatever it is. */
export function exemptionOf(
  pod: Pod,
  agentless: AgentlessNodes = [],
): 'StaticPod' | 'Windows' | 'AgentlessNode' | undefined {
  if (Object.hasOwn(pod.annotations, mirrorAnnotation)) return 'StaticPod';
  if (isWindows(pod.spec)) return 'Windows';
  const selector = objectOf(pod.spec['nodeSelector']) ?? {};
  return agentless.some(({ label, value }) => selector[label] === value) ? 'AgentlessNode' : undefined;
}

/** There is no agent on Windows nodes: nothing would answer behind the address. */
function isWindows(spec: RawObject): boolean {
  const { os, nodeSelector } = spec;
  if (isObject(os) && os['name'] === 'windows') return true;
  return isObject(nodeSelector) && nodeSelector['kubernetes.io/os'] === 'windows';
}

/** An annotation of the pod, or else of its namespace. */
export function annotationOf(pod: Pod, namespaceAnnotations: RawObject | undefined, name: string): string | undefined {
  return textOf(pod.annotations[name]) ?? textOf(namespaceAnnotations?.[name]);
}
