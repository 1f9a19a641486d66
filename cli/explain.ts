import { z } from 'zod';
import { formatKey, parseConnectorPath } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { openFolderStore } from '../connectors/folder-store.ts';
import { type ImageReference, parseImageReference, repositoryOf } from '../connectors/image-reference.ts';
import { injectLabel } from '../connectors/labels.ts';
import { pullSecretName } from '../connectors/pull-identity.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import { ask, headerOf } from '../credentials/ask.ts';
import type { Grant } from '../credentials/grant.ts';
import { originOf } from '../credentials/grant-origin.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import { whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import { type ProxySettings, readProxySettings } from '../platform/environment-proxy.ts';
import { createLogger } from '../platform/logger.ts';
import { connectorAnnotation } from '../webhook/annotations.ts';
import { type Decision, type ImageDecision, isProxied } from '../webhook/decision.ts';
import { mutatePod } from '../webhook/mutate-pod.ts';
import { manifests, namespace, readFlags } from './flags.ts';
import { imageHost } from './image-host.ts';
import { openOracleCredentials } from './oracle-credentials.ts';
import { type OracleAccess, oracleAccess, oracleFlags } from './oracle-settings.ts';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

const flags = z.object({ manifests, namespace, imageHost, ...oracleFlags });

/** Every kind of manifest: a registry that is asked for less may say that there is none, as GHCR does. */
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/**
 * Says which connector an image would use in a namespace, why, what a pod would get, and what the registry answers.
 * @returns whether the image would be pulled through a connector and the registry has it
 * @throws UsageError, or Error for manifests that cannot be used
 */
export async function explain(image: string, options: unknown, output: Output): Promise<boolean> {
  const settings = readFlags(flags, options);
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new UsageError(`"${image}" is not an image: ${parsed.reason}`);
  const say = (name: string, value: string): void => output.result(`${name.padEnd(12)}${value}\n`);
  const store = await openFolderStore({ folder: settings.manifests });
  await store.close();
  const question = { image, reference: parsed.reference, catalogue: store.catalogue, ...settings };
  describeImage(question, say);
  const { isOptedIn, decided } = decide(question, say);
  const connector = describeConnector(decided, question, say);
  describePod(decided, isOptedIn, question, say);
  if (connector === undefined || decided.reason === 'ConnectorNotMatching') return false;
  const repository = repositoryBehind(decided, question);
  const asking = {
    connector,
    repository,
    oracle: oracleAccess(settings, process.env),
    proxies: readProxySettings(process.env),
  };
  const isThere = await describeAnswer(question.reference, asking, say);
  return isOptedIn && isProxied(decided) && isThere;
}

type Say = (name: string, value: string) => void;

interface Question {
  readonly image: string;
  readonly reference: ImageReference;
  readonly namespace: string;
  readonly imageHost: string;
  readonly catalogue: ConnectorCatalogue;
}

function describeImage({ image, reference, namespace, catalogue }: Question, say: Say): void {
  say('image', image);
  say('registry', reference.registry);
  say('repository', `${repositoryOf(reference)}${reference.impliedPath === '' ? '' : ' (library/ is implied)'}`);
  say('namespace', `${namespace}, ${describeOptIn(catalogue, namespace)}`);
}

function describeOptIn(catalogue: ConnectorCatalogue, namespace: string): string {
  const known = catalogue.namespace(namespace);
  if (known === undefined) return 'which has no manifest, so it has not opted in';
  const isIn = known.metadata.labels?.[injectLabel] === 'true';
  return isIn ? 'which has opted in' : `which has not opted in: label it ${injectLabel}: "true"`;
}

/** What the webhook decides; for a namespace that has not opted in, what it would decide about a pod that has. */
function decide(question: Question, say: Say): { isOptedIn: boolean; decided: ImageDecision } {
  const asItIs = decideWith({}, question);
  const isOptedIn = asItIs.outcome === 'Decided';
  const { outcome, images, warnings } = isOptedIn ? asItIs : decideWith({ [injectLabel]: 'true' }, question);
  const decided = images[0];
  if (decided === undefined) throw new Error(`a pod with this image is not decided about: ${outcome}`);
  for (const warning of warnings) say('warning', warning);
  return { isOptedIn, decided };
}

function decideWith(
  labels: Readonly<Record<string, string>>,
  { image, namespace, catalogue, imageHost }: Question,
): Decision {
  return mutatePod({
    pod: { metadata: { labels }, spec: { containers: [{ name: 'app', image }] } },
    operation: 'CREATE',
    subresource: '',
    namespace,
    catalogue,
    settings: { proxyHost: imageHost, pullSecretName },
  });
}

function describeConnector(decided: ImageDecision, question: Question, say: Say): ResolvedConnector | undefined {
  const { catalogue } = question;
  const connector = decided.connector && catalogue.connector(decided.connector);
  if (connector === undefined) {
    const known = catalogue.connectors.map(({ key }) => formatKey(key)).slice(0, 10);
    say('connector', `${describeAbsence(decided)} (there are: ${known.join(', ') || 'no connectors at all'})`);
    return undefined;
  }
  const { key, address, problems } = connector;
  say('connector', `${formatKey(key)}, ${address.origin}${address.pathPrefix === '' ? '' : `/${address.pathPrefix}`}`);
  say('why', describeChoice(decided, connector, question));
  const rivals = decided.rivals ?? [];
  if (rivals.length > 0) say('', `first by name before ${rivals.map(formatKey).join(', ')}`);
  for (const { reason, message } of problems) say('problem', `${reason}: ${message}`);
  return connector;
}

function describeAbsence({ reason, connector }: ImageDecision): string {
  if (connector !== undefined) return `${formatKey(connector)}, which the image names, and which does not exist`;
  if (reason === 'ConnectorUnknown') {
    return `none: the namespace's annotation ${connectorAnnotation} names one that does not exist`;
  }
  return 'none: the image stays as it is';
}

function describeChoice(
  { reason }: ImageDecision,
  { key, address }: ResolvedConnector,
  { namespace, catalogue }: Question,
): string {
  if (reason === 'AlreadyProxied') return 'the image names it already';
  const path = address.pathPrefix === '' ? 'serves the whole registry' : `has the longest path, ${address.pathPrefix}`;
  if (catalogue.namespace(namespace)?.metadata.annotations?.[connectorAnnotation] === undefined) {
    return `${key.namespace === namespace ? 'of its own namespace' : 'shared with all namespaces'}, ${path}`;
  }
  const annotation = `the namespace's annotation ${connectorAnnotation} names it`;
  return reason === 'ConnectorNotMatching' ? `${annotation}, but its address does not cover this image` : annotation;
}

function describePod(decided: ImageDecision, isOptedIn: boolean, { image }: Question, say: Say): void {
  const { reason, message, rewritten } = decided;
  const reasons = [reason, message].filter(Boolean).join(': ');
  const opted = rewritten ?? `${image} (${reasons})`;
  if (isOptedIn) {
    say('pod gets', opted);
    return;
  }
  say('pod gets', `${image}, nothing else: neither it nor its namespace has the label ${injectLabel}: "true"`);
  say('with label', opted);
}

/** The repository as the registry names it, without the connector that an image of ours begins with. */
function repositoryBehind({ reason }: ImageDecision, { reference }: Question): string {
  if (reason !== 'AlreadyProxied') return repositoryOf(reference);
  return parseConnectorPath(reference.path)?.rest ?? reference.path;
}

interface Asking {
  readonly connector: ResolvedConnector;
  readonly repository: string;
  readonly oracle: OracleAccess | undefined;
  readonly proxies: ProxySettings;
}

async function describeAnswer(
  reference: ImageReference,
  { connector, repository, oracle: identity, proxies }: Asking,
  say: Say,
): Promise<boolean> {
  const { pathPrefix } = connector.address;
  if (repository === '' || !isWithinPath(repository, pathPrefix)) {
    say(
      'registry',
      `is not asked: the image ${repository === '' ? 'names no repository' : `is not below ${pathPrefix}`}`,
    );
    return false;
  }
  const transports = new RegistryTransports({ proxies });
  const oracle = openOracleCredentials(identity, createLogger({ level: 'silent', isPretty: false }));
  const signal = AbortSignal.timeout(60_000);
  try {
    const want = { connector, repository, actions: ['pull'], caller: { name: 'explain' } } as const;
    const grant = await new LocalGrants({ transports, oracle }).grant(want, signal);
    say('credential', describeCredential(grant));
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const url = new URL(`${connector.address.origin}/v2/${repository}/manifests/${wanted}`);
    const authorization = grant.kind === 'authorization' ? { authorization: grant.value } : {};
    const question = { url, headers: { accept: manifestTypes, ...authorization } };
    const answer = await ask(transports.for(connector), { method: 'GET', ...question }, signal);
    const facts = [headerOf(answer, 'docker-content-digest'), headerOf(answer, 'content-type')]
      .filter(Boolean)
      .join(' ');
    const said = answer.status === 200 ? facts : whatRegistrySaidTo(grant, answer.text);
    say('registry', `answers ${answer.status} for ${wanted}${said === '' ? '' : `: ${said}`}`);
    return answer.status === 200;
  } catch (error) {
    say('registry', error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    oracle?.close();
    await transports.close();
  }
}

function describeCredential(grant: Grant): string {
  if (grant.kind !== 'authorization') return 'none is needed';
  const label = originOf(grant)?.label;
  return `accepted, ${grant.value.split(' ')[0]}${label === undefined ? '' : ` (${label})`}`;
}
