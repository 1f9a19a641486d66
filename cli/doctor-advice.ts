import { OracleError, type OracleStep } from '../credentials/oracle/errors.ts';
import type { PrincipalKind } from '../credentials/oracle/oracle.ts';
import { policySentence } from '../credentials/oracle/policy.ts';

/** The policy that lets a principal pull. */
export const pullPolicy = (kind: PrincipalKind): string => policySentence(kind, 'repos');

/** The policy that lets a principal read a Vault secret. */
export const vaultPolicy = (kind: PrincipalKind): string => policySentence(kind, 'secret-bundles');

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
