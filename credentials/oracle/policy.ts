import type { PrincipalKind } from './oracle.ts';

/** Who a policy has to name for each kind of principal. */
const subjects: Readonly<Record<PrincipalKind, readonly [subject: string, condition: string]>> = {
  instance: ['dynamic-group <domain>/<group>', ''],
  resource: ['dynamic-group <domain>/<group>', ''],
  workload: [
    'any-user',
    " where all {request.principal.type = 'workload', request.principal.cluster_id = '<cluster>', request.principal.namespace = '<namespace>', request.principal.service_account = '<account>'}",
  ],
  user: ['group <domain>/<group>', ''],
};

const hints: Readonly<Record<PrincipalKind | 'auto', string>> = {
  instance: ', and that a matching rule of the group includes this instance',
  resource: ', and that a matching rule of the group includes this resource',
  workload: '',
  user: ', and that the user is in the group',
  auto: ' for an instance or a resource; a workload identity needs any-user with a condition, and a user needs group',
};

/**
 * What to look at where Oracle's cloud knows a principal and refuses it: the IAM policy that lets it read repositories of
 * OCIR, or Vault secrets. `auto`: which principal it was is not known.
 */
export function policySentence(kind: PrincipalKind | 'auto', what: 'repos' | 'secret-bundles'): string {
  const [subject, condition] = subjects[kind === 'auto' ? 'instance' : kind];
  return `check the IAM policy: Allow ${subject} to read ${what} in compartment <compartment>${condition}${hints[kind]}`;
}
