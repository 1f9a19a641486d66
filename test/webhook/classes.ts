import { buildCatalogue, type ConnectorCatalogue } from '../../connectors/catalogue.ts';
import type { Configuration, ConnectorClass, Document } from '../../connectors/schema.ts';

export type Injected = NonNullable<Configuration['injection']>;

/** A ConnectorClass whose configurations have these injections. */
export const connectorClass = (name: string, injections: Record<string, Injected | undefined>): ConnectorClass => ({
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'ConnectorClass',
  metadata: { name },
  spec: {
    auth: { types: [{ name: 'tokenAuth', optional: true }] },
    configurations: Object.entries(injections).map(([configuration, injection]) => ({
      name: configuration,
      ...(injection === undefined ? {} : { injection }),
    })),
  },
});

export const variable = (name: string, value: string) => ({ name, value });

const registryClient: Injected = {
  env: [variable('DOCKER_CONFIG', '$(MOUNT_PATH)'), variable('REGISTRY_AUTH_FILE', '$(MOUNT_PATH)/config.json')],
};

/** Takes the place of the class that the product ships. */
export const ociClass = connectorClass('oci', {
  'registry-config': registryClient,
  'docker-config': registryClient,
  buildkitd: { env: [variable('BUILDKITD_FLAGS', '--config=$(MOUNT_PATH)/buildkitd.toml')] },
  dockerd: { mountPath: '/etc/docker' },
  tool: { mountPath: '/opt/tool', env: [variable('TOOL_CONFIG', '$(MOUNT_PATH)/tool.json')] },
  a: undefined,
  b: undefined,
});

/** Namespace `demo`, opted in, with a connector for each pair of name and class; the first serves harbor.example.com. */
export function catalogueOf(
  connectors: Readonly<Record<string, string>>,
  classes: readonly ConnectorClass[],
): ConnectorCatalogue {
  const named = Object.entries(connectors).map(
    ([name, connectorClassName], at): Document => ({
      apiVersion: 'connectors.alauda.io/v1alpha1',
      kind: 'Connector',
      metadata: { namespace: 'demo', name },
      spec: { connectorClassName, address: at === 0 ? 'https://harbor.example.com' : `https://${name}.example.com` },
    }),
  );
  const metadata = { name: 'demo', labels: { 'connectors.cpaas.io/proxy-inject': 'true' } };
  return buildCatalogue([{ apiVersion: 'v1', kind: 'Namespace', metadata }, ...classes, ...named]);
}
