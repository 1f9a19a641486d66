/** AdmissionReview of admission.k8s.io/v1, read at the edge: a value or a reason. */
import { isObject, objectOf, type RawObject, textOf } from './raw.ts';

const apiVersion = 'admission.k8s.io/v1';
const kind = 'AdmissionReview';

/** A request about pods, or about something that is none of ours. */
export interface ReviewRequest {
  readonly uid: string;
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** `group/resource`, for the core group `pods` alone. */
  readonly resource: string;
  /** Empty for the resource itself. */
  readonly subresource: string;
  /** Empty for what stands in no namespace. */
  readonly namespace: string;
  /** Empty for a pod whose name is yet to be generated. */
  readonly name: string;
  readonly dryRun: boolean;
  /** The raw object; an object for CREATE and UPDATE of pods. */
  readonly object: unknown;
  readonly oldObject: unknown;
}

export type ParsedReview =
  | { readonly ok: true; readonly request: ReviewRequest }
  | { readonly ok: false; readonly reason: string };

const refuse = (reason: string): ParsedReview => ({ ok: false, reason });
const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] as const;

/** Whether a request is about the content of a pod. */
export const isAboutPodContent = (request: ReviewRequest): boolean =>
  request.resource === 'pods' &&
  (request.operation === 'CREATE' || request.operation === 'UPDATE') &&
  (request.subresource === '' || request.subresource === 'ephemeralcontainers');

export function parseReview(body: unknown): ParsedReview {
  if (!isObject(body)) return refuse(`the body is not an object: send an ${kind} of ${apiVersion}`);
  if (body['kind'] !== kind) return refuse(`kind is ${show(body['kind'])}: it must be "${kind}"`);
  if (body['apiVersion'] !== apiVersion) {
    return refuse(`apiVersion is ${show(body['apiVersion'])}: it must be "${apiVersion}"`);
  }
  const raw = body['request'];
  if (!isObject(raw)) return refuse(`request is ${show(raw)}: it must be an object`);
  const uid = textOf(raw['uid']);
  if (!uid) return refuse(`request.uid is ${show(raw['uid'])}: it must be a text, which the answer repeats`);
  const operation = operations.find((candidate) => candidate === raw['operation']);
  if (operation === undefined) {
    return refuse(`request.operation is ${show(raw['operation'])}: it must be one of ${operations.join(', ')}`);
  }
  const resource = resourceOf(raw);
  if (resource === undefined) return refuse('request.resource is missing: it must hold group, version and resource');
  return checkPod({
    uid,
    operation,
    resource,
    subresource: textOf(raw['subResource']) ?? '',
    namespace: textOf(raw['namespace']) ?? '',
    name: textOf(raw['name']) ?? '',
    dryRun: raw['dryRun'] === true,
    object: raw['object'],
    oldObject: raw['oldObject'],
  });
}

function resourceOf(raw: RawObject): string | undefined {
  const { group, resource } = objectOf(raw['resource']) ?? {};
  if (typeof resource !== 'string' || resource === '') return undefined;
  return typeof group === 'string' && group !== '' ? `${group}/${resource}` : resource;
}

function checkPod(request: ReviewRequest): ParsedReview {
  if (!isAboutPodContent(request)) return { ok: true, request };
  const { namespace, object, oldObject, operation } = request;
  if (namespace === '') return refuse('request.namespace is missing: pods are in a namespace');
  if (!isObject(object)) return refuse(`request.object is ${show(object)}: it must be the pod`);
  if (operation === 'UPDATE' && !isObject(oldObject)) {
    return refuse(`request.oldObject is ${show(oldObject)}: it must be the pod before the update`);
  }
  return { ok: true, request };
}

/** A value as a message can show it: its type, or a short text. */
function show(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
