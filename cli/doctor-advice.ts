import { OracleError, type OracleStep } from '../credentials/oracle/errors.ts';
import type { PrincipalKind } from '../credentials/oracle/oracle.ts';

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

const matching: Readonly<Record<PrincipalKind, string>> = {
  instance: ', and that a matching rule of the group includes this instance',
  resource: ', and that a matching rule of the group includes this resource',
  workload: '',
  user: ', and that the user is in the group',
};

function policy(kind: PrincipalKind, what: string): string {
  const [subject, condition] = subjects[kind];
  return `check the IAM policy: Allow ${subject} to read ${what} in compartment <compartment>${condition}${matching[kind]}`;
}

/** The policy that lets a principal pull. */
export const pullPolicy = (kind: PrincipalKind): string => policy(kind, 'repos');

/** The policy that lets a principal read a Vault secret. */
export const vaultPolicy = (kind: PrincipalKind): string => policy(kind, 'secret-bundles');

const advice: Readonly<Partial<Record<OracleStep, string>>> = {
  metadata: 'run it on an instance of Oracle Cloud Infrastructure, or name another principal: --auth',
  federation:
    'check that this machine reaches that host (a subnet needs a service, NAT or internet gateway), and its clock',
  token: 'check that this machine reaches the registry, and that it is one of the same realm',
  vault: 'check that this machine reaches the vault of that region',
  content: 'write the secret anew, as {"username": "…", "password": "…"}',
};

/** What to do about a step that failed, where its message does not say it already. */
export const adviceFor = (error: unknown): string | undefined =>
  error instanceof OracleError ? advice[error.step] : undefined;
