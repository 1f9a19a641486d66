import { isDeepStrictEqual } from 'node:util';
import { imageAddress, proxyUrl } from '../connectors/address.ts';
import { templateProblems } from '../connectors/configurations/render.ts';
import type { ConnectorProblem, ResolvedConnector } from '../connectors/connector.ts';
import { formatField } from '../connectors/field-problem.ts';
import { ignoredFields } from '../connectors/ignored-fields.ts';
import { callerAudience } from '../connectors/pull-identity.ts';
import { type Connector, type ConnectorClass, proxyFormOf } from '../connectors/schema.ts';
import {
  type Condition,
  type ConnectorStatus,
  conditionOf,
  type Finding,
  setCondition,
  specSupportedCondition,
  summarize,
} from '../connectors/status.ts';
import { printable } from '../platform/printable.ts';
import { isAboutCa, type ProbePlan, planProbes, problemVerdict, type Verdict, verdictOf } from './probe-plan.ts';

/** More broken templates than these help nobody, and a condition's message has an end. */
const brokenMax = 5;
/** False for a spec that cannot be used whatever else there is. */
const specValidCondition = 'SpecValid';

/** What the registry was found to be, by probes of the connector as it is. */
export interface ProbeVerdicts {
  readonly liveness: Verdict;
  /** Absent where the registry was not there to be authenticated to. */
  readonly authentication: Verdict | undefined;
  /** Which of several credentials works, and which does not. */
  readonly detail?: string | undefined;
}

/** What is known of a connector, for its status. */
export interface ConnectorFacts {
  readonly connector: Connector;
  readonly resolved: ResolvedConnector;
  readonly connectorClass: ConnectorClass | undefined;
  /** ProxyServiceReady. */
  readonly service: Verdict;
  /** Undefined as long as the connector, as it is, has not been probed. */
  readonly probes: ProbeVerdicts | undefined;
}

export interface ProxyAddresses {
  /** `host:port` that stands in images which nodes pull. */
  readonly imageHost: string;
  readonly clusterDomain: string;
  /** What clients trust that call the proxy by HTTPS or through the forward proxy, PEM; undefined where it is plain HTTP only. */
  readonly caBundle?: string | undefined;
}

/**
 * The status that follows from the facts; `previous` itself where it says the same, so that nothing need be written.
 * Conditions of other writers are kept.
 * @param now milliseconds since the epoch
 */
export function connectorStatus(
  facts: ConnectorFacts,
  previous: ConnectorStatus,
  addresses: ProxyAddresses,
  now: number,
): ConnectorStatus {
  const findings = findingsOf(facts, previous);
  const before: readonly Condition[] = previous.conditions ?? [];
  const found = findings.reduce((conditions, finding) => setCondition(conditions, finding, now), before);
  const conditions = setCondition(found, summarize(found), now);
  const next: ConnectorStatus = {
    ...previous,
    observedGeneration: facts.connector.metadata.generation ?? 0,
    conditions: [...conditions],
    proxy: { ...previous.proxy, ...proxyOf(facts, addresses, previous) },
  };
  return isDeepStrictEqual(next, previous) ? previous : next;
}

function proxyOf(
  { resolved: { key }, connectorClass }: ConnectorFacts,
  { imageHost, clusterDomain, caBundle }: ProxyAddresses,
  previous: ConnectorStatus,
): NonNullable<ConnectorStatus['proxy']> {
  const url = proxyUrl(key, proxyFormOf(connectorClass), clusterDomain);
  const trust = caBundle === undefined ? {} : { CACerts: caBundle };
  const httpAddress = { ...previous.proxy?.httpAddress, url, ...trust, audience: callerAudience, name: 'http' };
  return { httpAddress, nodeAddress: imageAddress(imageHost, key) };
}

function findingsOf(facts: ConnectorFacts, previous: ConnectorStatus): readonly Finding[] {
  const plan = planProbes(facts.connector, facts.resolved);
  const liveness = plan.liveness ?? facts.probes?.liveness ?? lastKnown('LivenessReady', facts, previous);
  const unread = unreadable(facts);
  return [
    { type: specValidCondition, ...specVerdict(facts) },
    { type: 'ConnectorClassReady', ...(unread ?? classVerdict(facts)) },
    { type: 'SecretReady', ...(unread ?? secretVerdict(facts, plan)) },
    { type: 'CACertReady', ...(unread ?? caVerdict(facts)) },
    { type: 'LivenessReady', ...liveness },
    { type: 'AuthReady', ...authVerdict(facts, plan, liveness, previous) },
    { type: 'ProxyServiceReady', ...facts.service },
    { type: specSupportedCondition, ...supportFinding(facts) },
  ];
}

const withReason = (
  { resolved }: ConnectorFacts,
  ...reasons: readonly ConnectorProblem['reason'][]
): ConnectorProblem | undefined =>
  resolved.problems.find((problem) => reasons.includes(problem.reason) && !isAboutCa(problem));

function specVerdict(facts: ConnectorFacts): Verdict {
  const problem = withReason(facts, 'SpecInvalid', 'ParamInvalid');
  return problem ? problemVerdict(problem) : verdictOf('True', 'SpecValid', '');
}

/** Of a spec that cannot be read nothing else can be told. */
function unreadable(facts: ConnectorFacts): Verdict | undefined {
  const problem = withReason(facts, 'SpecInvalid');
  return problem && verdictOf('Unknown', problem.reason, 'cannot be told before SpecValid is True');
}

function classVerdict(facts: ConnectorFacts): Verdict {
  const problem = withReason(facts, 'ConnectorClassNotFound');
  if (problem !== undefined) return problemVerdict(problem);
  // Images are pulled without configurations: a template that cannot be read is told, and keeps nobody from that.
  const broken = templateProblems(facts.connectorClass?.spec.configurations ?? []);
  if (broken.length === 0) return verdictOf('True', 'ConnectorClassFound', '');
  const className = facts.connectorClass?.metadata.name;
  const more = broken.length > brokenMax ? [`and ${broken.length - brokenMax} more`] : [];
  const told = [...broken.slice(0, brokenMax).map((problem) => printable(problem, 1024)), ...more].join('; ');
  return verdictOf('True', 'ConfigurationsInvalid', `ConnectorClass "${className}": ${told}`);
}

const secretReasons = [
  'SecretNamespaceForbidden',
  'SecretNotFound',
  'SecretsNotReadable',
  'SecretRequired',
  'SecretIdInvalid',
  'SourceForbidden',
] as const;

function secretVerdict(facts: ConnectorFacts, plan: ProbePlan): Verdict {
  const problem = withReason(facts, ...secretReasons);
  if (problem !== undefined) return problemVerdict(problem);
  if (plan.secret !== undefined) return plan.secret;
  const unclear = withReason(facts, 'ConnectorClassNotFound', 'AuthTypeUnknown');
  if (unclear !== undefined) return verdictOf('Unknown', unclear.reason, 'the class says whether a Secret is needed');
  const { credentials } = facts.resolved;
  if (credentials.length === 0) return verdictOf('True', 'SecretOptional', 'no credential is used');
  if (!credentials.some(({ kind }) => kind === 'secret')) return verdictOf('True', 'SecretOptional', '');
  return verdictOf('True', 'SecretFound', '');
}

function caVerdict({ connector, resolved }: ConnectorFacts): Verdict {
  const problem = resolved.problems.find(isAboutCa);
  if (problem !== undefined) return problemVerdict(problem);
  return connector.spec.caCertSecretRef === undefined
    ? verdictOf('True', 'CACertOptional', '')
    : verdictOf('True', 'CACertFound', '');
}

function authVerdict(facts: ConnectorFacts, plan: ProbePlan, liveness: Verdict, previous: ConnectorStatus): Verdict {
  if (plan.authentication !== undefined) return plan.authentication;
  if (plan.liveness !== undefined || liveness.status === 'False') {
    return verdictOf('Unknown', 'LivenessNotReady', 'cannot be probed before LivenessReady is True');
  }
  return facts.probes?.authentication ?? lastKnown('AuthReady', facts, previous);
}

/** What somebody found before us counts until we have looked, unless it was about another spec. */
function lastKnown(type: string, { connector }: ConnectorFacts, previous: ConnectorStatus): Verdict {
  const before = conditionOf(previous.conditions ?? [], type);
  const isOfThisSpec = previous.observedGeneration === (connector.metadata.generation ?? 0);
  if (before === undefined || before.status === 'Unknown' || !isOfThisSpec) {
    return verdictOf('Unknown', 'Probing', 'has not been probed yet');
  }
  return verdictOf(before.status, before.reason ?? type, before.message ?? '');
}

/** Informs only: what is ignored keeps nobody from using the connector. */
function supportFinding(facts: ConnectorFacts): Omit<Finding, 'type'> {
  const fields = ignoredFields(facts.connector, facts.connectorClass).map(formatField).join(', ');
  if (fields === '') return { ...verdictOf('True', 'AllFieldsSupported', ''), severity: 'Info' };
  const message = `accepted, but without effect: ${fields}; see docs/compatibility.md`;
  return { ...verdictOf('False', 'FieldsIgnored', message), severity: 'Info' };
}
