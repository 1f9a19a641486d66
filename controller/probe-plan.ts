import type { ConnectorProblem, ResolvedConnector } from '../connectors/connector.ts';
import { formatField } from '../connectors/field-problem.ts';
import { isRepository } from '../connectors/image-reference.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import type { Connector } from '../connectors/schema.ts';
import type { Finding } from '../connectors/status.ts';
import type { Credential } from '../credentials/credential.ts';
import { credentialToProbe } from '../credentials/probe-credential.ts';
import type { ReadCredential, SecretReason } from '../credentials/secret.ts';

/** What a condition says, but for which one it is. */
export type Verdict = Pick<Finding, 'status' | 'reason' | 'message'>;

/** What can be probed of a connector, and what stands in the way of the rest. */
export interface ProbePlan {
  /** Why LivenessReady is what it is without a probe; undefined where the registry can be asked. */
  readonly liveness: Verdict | undefined;
  /** The same of AuthReady. */
  readonly authentication: Verdict | undefined;
  /** What is wrong with what Secrets hold, and with entries. */
  readonly secret: Verdict | undefined;
  /** Those that are known without asking anybody, to be kept out of texts. */
  readonly credentials: readonly Credential[];
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
  SecretIdInvalid: 'write it as the Vault shows it: ocid1.vaultsecret.…',
  SourceForbidden: 'or name a Secret',
  EntryInvalid: 'correct the entry',
  InlinePasswordForbidden: 'and delete it here',
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
  const origins = readOrigins(resolved, badRepository === undefined ? repository : undefined);
  const secret = isAddressKnown ? originsVerdict(origins) : undefined;
  return {
    liveness: (address && problemVerdict(address)) ?? blockedBy(unreadable?.reason ?? ca?.reason),
    authentication:
      (authType && problemVerdict(authType)) ??
      badRepository ??
      blockedBy(
        problems.find((problem) => !isAboutCa(problem))?.reason ??
          (secret?.status === 'False' ? secret.reason : undefined),
      ),
    secret,
    credentials: origins.flatMap(({ credential }) => credential ?? []),
    repository,
  };
}

const blockedBy = (reason: string | undefined): Verdict | undefined =>
  reason === undefined ? undefined : verdictOf('Unknown', reason, `cannot be probed because of ${reason}`);

/** What can be told of one origin without asking anybody. */
interface ReadOrigin {
  readonly credential: Credential | undefined;
  /** Why it cannot be used. */
  readonly verdict: Verdict | undefined;
}

function readOrigins(resolved: ResolvedConnector, repository: string | undefined): readonly ReadOrigin[] {
  return resolved.credentials.map((origin): ReadOrigin => {
    if (origin.kind === 'unusable') return { credential: undefined, verdict: problemVerdict(origin.problem) };
    if (origin.kind === 'basic') return { credential: passwordOf(origin), verdict: undefined };
    if (origin.kind !== 'secret') return { credential: undefined, verdict: undefined };
    const read = credentialToProbe(origin.secret, resolved, repository);
    if (read.ok) return { credential: read.credential, verdict: undefined };
    return { credential: undefined, verdict: secretVerdict(`${origin.label}.secretRef.name`, read) };
  });
}

const passwordOf = ({ username, password }: { username: string; password: string }): Credential => ({
  kind: 'password',
  username,
  password,
});

/** An entry that cannot be used is told; another one may do, so that only all of them make a connector unusable. */
function originsVerdict(origins: readonly ReadOrigin[]): Verdict | undefined {
  const wrong = origins.flatMap(({ verdict }) => (verdict === undefined ? [] : [verdict]));
  const [first] = wrong;
  if (first === undefined || origins.length === 1) return first;
  const message = wrong.map((verdict) => verdict.message).join(' | ');
  return wrong.length === origins.length ? { ...first, message } : verdictOf('True', 'EntriesUnusable', message);
}

const secretVerdict = (where: string, { reason, message }: Extract<ReadCredential, { ok: false }>): Verdict =>
  verdictOf('False', reason, `${where}: ${message}; ${secretAdvice[reason]}`);

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
