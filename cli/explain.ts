import { z } from 'zod';
import { formatKey } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { openFolderStore } from '../connectors/folder-store.ts';
import { type ImageReference, parseImageReference, repositoryOf } from '../connectors/image-reference.ts';
import { ask, headerOf } from '../credentials/ask.ts';
import { LocalGrants } from '../credentials/local-grants.ts';
import { whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import type { ProxySettings } from '../platform/environment-proxy.ts';
import { injectLabel } from '../webhook/annotations.ts';
import { mutatePod } from '../webhook/mutate-pod.ts';
import { defaultPullSecretName } from '../webhook/pull-secret.ts';
import type { Output } from './output.ts';
import { readProxySettings } from './standalone-settings.ts';
import { UsageError } from './usage-error.ts';

const flags = z.object({
  manifests: z.string({ error: '--manifests DIR is needed: the folder of Connectors, Secrets and Namespaces' }).min(1),
  namespace: z.string().min(1),
  imageHost: z.string().min(1),
});

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
  const settings = flags.safeParse(options);
  if (!settings.success) throw new UsageError(settings.error.issues.map((issue) => issue.message).join('; '));
  const { namespace, manifests, imageHost } = settings.data;
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new UsageError(`"${image}" is not an image: ${parsed.reason}`);
  const say = (name: string, value: string): void => output.result(`${name.padEnd(12)}${value}\n`);
  const store = await openFolderStore({ folder: manifests });
  await store.close();
  const { catalogue } = store;
  describeImage(image, parsed.reference, say);
  say('namespace', `${namespace}, ${describeOptIn(catalogue, namespace)}`);
  const connector = describeConnector(parsed.reference, namespace, catalogue, say);
  if (connector === undefined) return false;
  const isRewritten = describePod(image, namespace, imageHost, catalogue, say);
  const isThere = await describeAnswer(parsed.reference, connector, readProxySettings(process.env), say);
  return isRewritten && isThere;
}

type Say = (name: string, value: string) => void;

function describeImage(image: string, reference: ImageReference, say: Say): void {
  say('image', image);
  say('registry', reference.registry);
  say('repository', `${repositoryOf(reference)}${reference.impliedPath === '' ? '' : ' (library/ is implied)'}`);
}

function describeOptIn(catalogue: ConnectorCatalogue, namespace: string): string {
  const known = catalogue.namespace(namespace);
  if (known === undefined) return 'which has no manifest, so it has not opted in';
  const isIn = known.metadata.labels?.[injectLabel] === 'true';
  return isIn ? 'which has opted in' : `which has not opted in: label it ${injectLabel}: "true"`;
}

function describeConnector(
  reference: ImageReference,
  namespace: string,
  catalogue: ConnectorCatalogue,
  say: Say,
): ResolvedConnector | undefined {
  const match = catalogue.find(reference, namespace);
  if (match === undefined) {
    const known = catalogue.connectors.map(({ key }) => formatKey(key)).slice(0, 10);
    say('connector', `none: the image stays as it is (there are: ${known.join(', ') || 'no connectors at all'})`);
    return undefined;
  }
  const { connector, rivals } = match;
  const { key, address, problems } = connector;
  say('connector', `${formatKey(key)}, ${address.origin}${address.pathPrefix === '' ? '' : `/${address.pathPrefix}`}`);
  const where = key.namespace === namespace ? 'of its own namespace' : 'shared with all namespaces';
  const path = address.pathPrefix === '' ? 'serves the whole registry' : `has the longest path, ${address.pathPrefix}`;
  say('why', `${where}, ${path}`);
  if (rivals.length > 0) say('', `first by name before ${rivals.map((rival) => formatKey(rival.key)).join(', ')}`);
  for (const { reason, message } of problems) say('problem', `${reason}: ${message}`);
  return connector;
}

function describePod(
  image: string,
  namespace: string,
  imageHost: string,
  catalogue: ConnectorCatalogue,
  say: Say,
): boolean {
  const decision = mutatePod({
    pod: { metadata: {}, spec: { containers: [{ name: 'app', image }] } },
    operation: 'CREATE',
    subresource: '',
    namespace,
    catalogue,
    settings: { proxyHost: imageHost, pullSecretName: defaultPullSecretName },
  });
  const decided = decision.images[0];
  say('pod gets', decided?.rewritten ?? `${image} (${decided?.reason ?? decision.outcome})`);
  for (const warning of decision.warnings) say('warning', warning);
  return decided?.rewritten !== undefined;
}

async function describeAnswer(
  reference: ImageReference,
  connector: ResolvedConnector,
  proxies: ProxySettings,
  say: Say,
): Promise<boolean> {
  const transports = new RegistryTransports({ proxies });
  const signal = AbortSignal.timeout(60_000);
  try {
    const repository = repositoryOf(reference);
    const want = { connector, repository, actions: ['pull'], caller: { name: 'explain' } } as const;
    const grant = await new LocalGrants({ transports }).grant(want, signal);
    say('credential', grant.kind === 'anonymous' ? 'none is needed' : `accepted, ${grant.value.split(' ')[0]}`);
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const url = new URL(`${connector.address.origin}/v2/${repository}/manifests/${wanted}`);
    const authorization = grant.kind === 'anonymous' ? {} : { authorization: grant.value };
    const question = { url, headers: { accept: manifestTypes, ...authorization } };
    const answer = await ask(transports.for(connector), { method: 'GET', ...question }, signal);
    const facts = [headerOf(answer, 'docker-content-digest'), headerOf(answer, 'content-type')]
      .filter(Boolean)
      .join(' ');
    const said = answer.status === 200 ? facts : whatRegistrySaidTo(grant, connector, repository, answer.text);
    say('registry', `answers ${answer.status} for ${wanted}${said === '' ? '' : `: ${said}`}`);
    return answer.status === 200;
  } catch (error) {
    say('registry', error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    await transports.close();
  }
}
