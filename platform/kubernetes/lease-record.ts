import type { KubernetesObject } from './object.ts';

/** coordination.k8s.io/v1 Lease. */
export interface Lease extends KubernetesObject {
  readonly spec?: LeaseSpec;
}

/** Times are MicroTimes: RFC 3339 with six digits after the second. */
export interface LeaseSpec {
  /** Empty or absent when nobody holds it. */
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

/** `2026-11-22T10:00:00.000000Z` */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}

/** The spec that makes or keeps `identity` the holder. */
export function heldBy(identity: string, leaseMs: number, epochMs: number, before: LeaseSpec | undefined): LeaseSpec {
  const renewTime = microTime(epochMs);
  const isRenewal = before?.holderIdentity === identity;
  const transitions = before?.leaseTransitions ?? 0;
  return {
    ...before,
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseMs / 1000),
    acquireTime: isRenewal ? (before.acquireTime ?? renewTime) : renewTime,
    renewTime,
    leaseTransitions: isRenewal || before === undefined ? transitions : transitions + 1,
  };
}

/** The spec of a lease that was given back: free at once, and known to have been held. */
export function released(before: LeaseSpec, epochMs: number): LeaseSpec {
  const renewTime = microTime(epochMs);
  return { ...before, holderIdentity: '', leaseDurationSeconds: 1, renewTime, acquireTime: renewTime };
}
