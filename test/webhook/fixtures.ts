import { buildCatalogue, type ConnectorCatalogue } from '../../connectors/catalogue.ts';
import type { Document } from '../../connectors/schema.ts';
import type { Decision } from '../../webhook/decision.ts';
import { type MutationInput, mutatePod } from '../../webhook/mutate-pod.ts';
import { ociClass } from './classes.ts';

export const settings = { proxyHost: 'localhost:7450', pullSecretName: 'oci-connector-pull' };
export const optedIn = { 'connectors.cpaas.io/proxy-inject': 'true' };
export const chooses = (connector: string) => ({ 'connectors.cpaas.io/connector': connector });
export const asksFor = (names: string) => ({ 'connectors.cpaas.io/configurations': names });

export const longNamespace = 'n'.repeat(63);
export const longConnector = 'c'.repeat(61);

function connector(namespace: string, name: string, address: string, spec: object = {}): Document {
  return {
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { namespace, name },
    spec: { connectorClassName: 'oci', address, ...spec },
  };
}

const namespace = (name: string, labels = {}, annotations = {}): Document => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels, annotations },
});

const missingSecret = { auth: { name: 'tokenAuth', secretRef: { name: 'nobody' } } };

/** Namespace `demo` has opted in and has connectors; `plain` has connectors only; `bare` has opted in only. */
export const catalogue: ConnectorCatalogue = buildCatalogue([
  ociClass,
  namespace('demo', optedIn),
  namespace('plain'),
  namespace('shouting', { 'connectors.cpaas.io/proxy-inject': 'TRUE' }),
  namespace('bare', optedIn),
  namespace('chosen', optedIn, { ...chooses('demo/harbor'), ...asksFor('buildkitd') }),
  namespace(longNamespace, optedIn),
  connector('demo', 'harbor', 'https://harbor.example.com'),
  connector('demo', 'harbor-team', 'https://harbor.example.com/team'),
  connector('demo', 'hub', 'https://docker.io'),
  connector('demo', 'broken', 'https://broken.example.com', missingSecret),
  connector('demo', 'twin-b', 'https://twin.example.com'),
  connector('demo', 'twin-a', 'https://twin.example.com'),
  connector('plain', 'harbor', 'https://harbor.example.com'),
  connector('plain', 'unreadable', 'ftp://registry.example.com'),
  connector('other', 'ghcr', 'https://ghcr.io'),
  connector('kube-public', 'quay', 'https://quay.io'),
  connector(longNamespace, longConnector, 'https://harbor.example.com'),
]);

export type Raw = Record<string, unknown>;

export interface PodParts {
  labels?: unknown;
  annotations?: unknown;
  spec?: Raw;
}

export function podWith(spec: Raw, parts: PodParts = {}): Raw {
  const { labels, annotations } = parts;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: 'web-',
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec,
  };
}

export const podOf = (image: string, parts: PodParts = {}): Raw =>
  podWith({ containers: [{ name: 'app', image }], ...parts.spec }, parts);

export const mutate = (pod: unknown, input: Partial<MutationInput> = {}): Decision =>
  mutatePod({ pod, operation: 'CREATE', subresource: '', namespace: 'demo', catalogue, settings, ...input });

/** A frozen copy: whoever writes to the pod is found out. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const child of Object.values(value)) frozen(child);
  return Object.freeze(value);
}

/** The value at `path` of a raw object, `spec.containers.0.image`. */
export function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Raw | undefined)?.[key], value);
}

export const imageOf = (pod: unknown): unknown => at(pod, 'spec.containers.0.image');

const annotationsOf = (pod: unknown) => at(pod, 'metadata.annotations') as Record<string, string> | undefined;

export const decisionText = (pod: unknown): string | undefined => annotationsOf(pod)?.['connectors.cpaas.io/decision'];

/** The entries of the decision annotation. */
export function entriesOf(pod: unknown): Raw[] {
  const text = decisionText(pod);
  return text === undefined ? [] : JSON.parse(text).images;
}

export const proxied = (connectorKey: string, rest: string): string => {
  const [ns, name] = connectorKey.split('/');
  return `localhost:7450/namespaces/${ns}/connectors/${name}/${rest}`;
};
