import type { ConnectorProblem, ResolvedConnector } from '../connectors/connector.ts';
import { isRepository } from '../connectors/image-reference.ts';
import { formatField } from '../connectors/manifest.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import type { Connector } from '../connectors/schema.ts';
import type { Finding } from '../connectors/status.ts';
import type { Credential } from '../credentials/credential.ts';
import { credentialToProbe } from '../credentials/probe-credential.ts';
import type { SecretReason } from '../credentials/secret.ts';

/** What a condition says, but for which one it is. */
export type Verdict = Pick<Finding, 'status' | 'reason' | 'message'>;

/** What can be probed of a connector, and what stands in the way of the rest. */
export interface ProbePlan {
  /** Why LivenessReady is what it is without a probe; undefined where the registry can be asked. */
  readonly liveness: Verdict | undefined;
  /** The same of AuthReady. */
  readonly authentication: Verdict | undefined;
  /** What is wrong with what the Secret holds. */
  readonly secret: Verdict | undefined;
  readonly credential: Credential | undefined;
  readonly repository: string | undefined;
}

const problemAdvice: Readonly<Record<ConnectorProblem['reason'], string>> = {
  SpecInvalid: 'correct the field',
  AddressInvalid: 'correct the address',
  ParamInvalid: 'correct the parameter',
  SecretNamespaceForbidden: 'leave the field out, and keep the Secret beside the connector',
  ConnectorClassNotFound: 'create the class, or name one that there is',
  AuthTypeUnknown: 'name one that the class has',
  SecretNotFound: 'create it, or name one that there is',
  SecretsNotReadable: 'or keep the connector in another namespace',
  SecretRequired: 'create a Secret with the credential and name it in spec.auth.secretRef',
  CACertInvalid: 'put the PEM certificates of the CA under ca.crt',
};

const secretAdvice: Readonly<Record<SecretReason, string>> = {
  SecretWrongType: 'delete the Secret and create it with the right type, which cannot be changed later',
  SecretKeyMissing: 'add what is missing',
  SecretMalformed: 'correct what it holds',
  SecretForOtherRegistry: 'add an entry for the registry of spec.address, or name another Secret',
};

export const verdictOf = (status: Verdict['status'], reason: string, message: string): Verdict => ({
  status,
  reason,
  message,
});

/** A problem as a condition tells it: where, what, and what to do. */
export const problemVerdict = ({ reason, message, field }: ConnectorProblem): Verdict =>
  verdictOf('False', reason, `${formatField(field)}: ${message}; ${problemAdvice[reason]}`);

export const isAboutCa = ({ field }: ConnectorProblem): boolean => field[1] === 'caCertSecretRef';

/** Pure: follows from the connector and what it names alone. */
export function planProbes(connector: Connector, resolved: ResolvedConnector): ProbePlan {
  const { problems } = resolved;
  const address = problems.find(({ reason }) => reason === 'AddressInvalid');
  const unreadable = problems.find(({ reason }) => reason === 'SpecInvalid');
  const ca = problems.find(isAboutCa);
  const authType = problems.find(({ reason }) => reason === 'AuthTypeUnknown');
  const repository = connector.spec.auth?.params?.find(({ name }) => name === 'repository')?.value;
  const isAddressKnown = address === undefined && unreadable === undefined;
  const badRepository = isAddressKnown ? checkRepository(repository, resolved) : undefined;
  const read = credentialToProbe(resolved, badRepository === undefined ? repository : undefined);
  const secret = read.ok || !isAddressKnown ? undefined : secretVerdict(read.reason, read.message);
  return {
    liveness: (address && problemVerdict(address)) ?? blockedBy(unreadable?.reason ?? ca?.reason),
    authentication:
      (authType && problemVerdict(authType)) ??
      badRepository ??
      blockedBy(problems.find((problem) => !isAboutCa(problem))?.reason ?? secret?.reason),
    secret,
    credential: read.ok ? read.credential : undefined,
    repository,
  };
}

const blockedBy = (reason: string | undefined): Verdict | undefined =>
  reason === undefined ? undefined : verdictOf('Unknown', reason, `cannot be probed because of ${reason}`);

const secretVerdict = (reason: SecretReason, message: string): Verdict =>
  verdictOf('False', reason, `spec.auth.secretRef.name: ${message}; ${secretAdvice[reason]}`);

function checkRepository(repository: string | undefined, { address }: ResolvedConnector): Verdict | undefined {
  if (repository === undefined) return undefined;
  const where = 'spec.auth.params repository';
  if (!isRepository(repository)) {
    const message = `${where}: "${repository.slice(0, 255)}" is no name of a repository; write it without host and tag, as team/app`;
    return verdictOf('False', 'RepositoryInvalid', message);
  }
  if (isWithinPath(repository, address.pathPrefix)) return undefined;
  const message = `${where}: "${repository}" is not below the path "${address.pathPrefix}" of spec.address; write the whole name, as ${address.pathPrefix}/${repository}`;
  return verdictOf('False', 'RepositoryOutside', message);
}
