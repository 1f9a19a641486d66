import type { ResolvedConnector } from '../connectors/connector.ts';
import type { CredentialOrigin } from '../connectors/credential-origin.ts';
import { formatField } from '../connectors/field-problem.ts';
import { isEntryFor, isEntryOf } from '../connectors/image-pull-secrets.ts';
import { ProxyError } from '../platform/errors.ts';
import type { Credential } from './credential.ts';
import type { OracleCredentials } from './oracle-credentials.ts';
import { credentialToProbe } from './probe-credential.ts';
import { credentialIn, type ReadCredential } from './secret.ts';

/** A credential that a connector may be used with, before it is read. */
export interface Candidate {
  /** The field of the Connector that names it. */
  readonly label: string;
  /** What to correct where it is wrong. */
  readonly where?: string;
  /** Whether what it names can change without the Connector or its Secrets changing. */
  readonly isRemote: boolean;
  /** What to look at where the registry refuses it. */
  readonly advice?: string;
  /**
   * @param isFresh what is remembered of a remote one is not believed
   * @throws ProxyError CONNECTOR_UNUSABLE, or UPSTREAM_… where its source is away; the message names the entry
   */
  read(signal: AbortSignal, isFresh?: boolean): Promise<Credential>;
}

export interface CandidateSources {
  /** Undefined where this process has no identity in Oracle's cloud. */
  readonly oracle: OracleCredentials | undefined;
}

/** The credentials to be tried for a repository, in their order; none for an open registry. */
export function candidatesFor(
  connector: ResolvedConnector,
  repository: string,
  sources: CandidateSources,
): readonly Candidate[] {
  const read = (secret: SecretOrigin['secret']) => credentialIn(secret, connector, repository);
  return connector.credentials
    .filter((origin) => isFor(origin, connector, repository))
    .map((origin) => candidateOf(origin, connector, sources, read));
}

/** The same for a probe; without a repository those that are for any of the connector's registry. */
export function candidatesToProbe(
  connector: ResolvedConnector,
  repository: string | undefined,
  sources: CandidateSources,
): readonly Candidate[] {
  const read = (secret: SecretOrigin['secret']) => credentialToProbe(secret, connector, repository);
  return connector.credentials
    .filter((origin) => isFor(origin, connector, repository))
    .map((origin) => candidateOf(origin, connector, sources, read));
}

type SecretOrigin = Extract<CredentialOrigin, { kind: 'secret' }>;

const isFor = ({ entry }: CredentialOrigin, { address }: ResolvedConnector, repository: string | undefined): boolean =>
  entry === undefined ||
  address.registries.some((registry) =>
    repository === undefined ? isEntryOf(entry, registry) : isEntryFor(entry, registry, repository),
  );

function candidateOf(
  origin: CredentialOrigin,
  connector: ResolvedConnector,
  { oracle }: CandidateSources,
  readSecret: (secret: SecretOrigin['secret']) => ReadCredential,
): Candidate {
  const { label } = origin;
  const local = (read: () => Credential): Candidate => ({
    label,
    where: origin.kind === 'secret' ? `the Secret in ${label}.secretRef` : label,
    isRemote: false,
    read: async () => read(),
  });
  switch (origin.kind) {
    case 'secret':
      return local(() => {
        const read = readSecret(origin.secret);
        if (read.ok) return read.credential;
        throw new ProxyError('CONNECTOR_UNUSABLE', `${read.reason}: ${label}: ${read.message}`);
      });
    case 'basic':
      return local(() => ({ kind: 'password', username: origin.username, password: origin.password }));
    case 'unusable':
      return local(() => {
        const { reason, message, field } = origin.problem;
        throw new ProxyError('CONNECTOR_UNUSABLE', `${reason}: ${formatField(field)} ${message}`);
      });
    case 'ociRegistry':
      return {
        label,
        where: label,
        isRemote: true,
        ...(oracle && { advice: oracle.registryAdvice }),
        read: (signal, isFresh) => ofOracle(oracle, label).registry(connector.address.origin, label, signal, isFresh),
      };
    case 'ociVault':
      return {
        label,
        where: label,
        isRemote: true,
        read: (signal, isFresh) => ofOracle(oracle, label).vault(origin.secretId, label, signal, isFresh),
      };
  }
}

function ofOracle(oracle: OracleCredentials | undefined, label: string): OracleCredentials {
  if (oracle !== undefined) return oracle;
  const message = `OracleNotConfigured: ${label}: this process has no identity in Oracle’s cloud: set --oci-auth (oracle.auth of the chart)`;
  throw new ProxyError('CONNECTOR_UNUSABLE', message);
}
