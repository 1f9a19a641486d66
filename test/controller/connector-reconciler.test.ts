import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { ClusterStore } from '../../connectors/cluster-store.ts';
import { unreadableConnector } from '../../connectors/connector.ts';
import { customResourceDefinitions } from '../../connectors/crd.ts';
import type { Connector } from '../../connectors/schema.ts';
import { conditionOf, statusOf } from '../../connectors/status.ts';
import {
  type ConnectorReconcilerOptions,
  type ConnectorSource,
  startConnectorReconciler,
} from '../../controller/connector-reconciler.ts';
import type { Service } from '../../controller/connector-service.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import type { KubernetesClient } from '../../platform/kubernetes/client.ts';
import { EventRecorder } from '../../platform/kubernetes/events.ts';
import { startInformer } from '../../platform/kubernetes/informer.ts';
import { type KubernetesObject, resources } from '../../platform/kubernetes/object.ts';
import { startObjectWatches } from '../../platform/kubernetes/object-watches.ts';
import { robot } from '../credentials/fixtures.ts';
import { requireParts } from '../real/support/parts.ts';
import { status as answering, hanging } from '../support/faults.ts';
import { startRegistry } from '../support/registry.ts';
import { connectorRules } from './connector-rules.ts';
import { eventually, productNamespace, useControlPlane } from './control-plane.ts';
import { log } from './silent-log.ts';

const definitions = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
};
const proxyService = { namespace: productNamespace, name: 'oci-connector' };
const proxyName = 'oci-connector.oci-connector.svc.cluster.local';

interface Event extends KubernetesObject {
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly name: string; readonly uid: string };
}

requireParts(
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
)('connectors in a cluster', () => {
  const cluster = useControlPlane({ rules: connectorRules });
  let count = 0;

  beforeAll(async () => {
    for (const definition of customResourceDefinitions) {
      await cluster.admin.create(definitions, definition as unknown as KubernetesObject);
      const isEstablished = (object: KubernetesObject | undefined) =>
        reasonOf(object, 'Established')?.startsWith('True') === true;
      await eventually(() => cluster.admin.get(definitions, { name: definition.metadata.name }), isEstablished);
    }
  });

  const createNamespace = async () => {
    count += 1;
    const namespace = `connectors-${count}`;
    await cluster.admin.create(resources.namespaces, { metadata: { name: namespace } });
    return namespace;
  };
  const createConnector = (namespace: string, spec: Partial<Connector['spec']>, name = 'harbor') =>
    cluster.admin.create<KubernetesObject>(resources.connectors, {
      metadata: { namespace, name },
      spec: { connectorClassName: 'oci', ...spec },
    });
  const secretOf = (namespace: string, password: string = robot.password) => ({
    metadata: { namespace, name: 'robot' },
    type: 'cpaas.io/distribution-registry-token',
    stringData: { username: robot.username, password },
  });
  const withSecret = { auth: { name: 'tokenAuth', secretRef: { name: 'robot' } } };

  const read = (namespace: string, name = 'harbor') =>
    cluster.admin.get<KubernetesObject>(resources.connectors, { namespace, name });
  function reasonOf(object: KubernetesObject | undefined, type: string) {
    const condition = conditionOf(statusOf({ status: object?.['status'] }).conditions ?? [], type);
    return condition && `${condition.status} ${condition.reason}`;
  }
  /** The status once a condition has this status and reason. */
  const statusWith = async (namespace: string, type: string, expected: string, name = 'harbor') => {
    const object = await eventually(
      () => read(namespace, name),
      (found) => reasonOf(found, type) === expected,
    );
    return statusOf({ status: object?.['status'] });
  };
  const serviceOf = (namespace: string, name = 'c-harbor') =>
    cluster.admin.get<Service>(resources.services, { namespace, name });
  const eventsOf = async (namespace: string) => {
    const { items } = await cluster.admin.list<Event>(resources.events, { namespace });
    return items.filter(({ regarding }) => regarding.name === 'harbor').map(({ type, reason }) => `${type} ${reason}`);
  };
  /** The Events once there are as many. */
  const eventsOnce = async (namespace: string, atLeast: number) => {
    for (;;) {
      const events = await eventsOf(namespace);
      if (events.length >= atLeast) return events.toSorted();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const registryOf = async () => {
    const registry = await startRegistry({ auth: { kind: 'token', ...robot } });
    onTestFinished(() => registry.close());
    return registry;
  };

  /** The reconciler of a leader, with a store of its own, for one namespace. */
  const start = async (namespace: string, options: Partial<ConnectorReconcilerOptions> = {}) => {
    const { client } = options.client === undefined ? cluster : { client: options.client };
    const leadership = new AbortController();
    const parts = new AsyncDisposableStack();
    onTestFinished(() => parts.disposeAsync());
    const connectors = parts.use(startInformer({ client, resource: resources.connectors, namespace }));
    const classes = parts.use(startInformer({ client, resource: resources.connectorClasses }));
    const namespaces = parts.use(startInformer({ client, resource: resources.namespaces }));
    const secrets = parts.use(startObjectWatches({ client, resource: resources.secrets }));
    await Promise.all([connectors, classes, namespaces].map((informer) => informer.synced()));
    const store = new ClusterStore({ connectors, classes, namespaces, secrets });
    parts.defer(() => store.close());
    while (!store.isSynced) await new Promise((resolve) => setTimeout(resolve, 5));
    const transports = new RegistryTransports();
    parts.defer(() => transports.close());
    const writes: string[] = [];
    const reconciler = parts.use(
      startConnectorReconciler({
        client,
        events: new EventRecorder({ client }),
        store,
        transports,
        sources: { oracle: undefined },
        proxyService,
        imageHost: 'localhost:7450',
        settleMs: 300,
        serviceRetryMs: 100,
        onStatus: (key, conditions) => void writes.push(`${key.name} ${conditionOf(conditions, 'Ready')?.reason}`),
        signal: leadership.signal,
        log,
        ...options,
      }),
    );
    return { reconciler, leadership, store, writes };
  };

  test('become ready, with a Service, addresses and one Event', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const { writes } = await start(namespace);
    const created = await createConnector(namespace, { address: registry.origin, ...withSecret });
    await cluster.admin.create(resources.secrets, secretOf(namespace));
    const status = await statusWith(namespace, 'Ready', 'True Ready');
    expect(status).toMatchObject({
      observedGeneration: 1,
      proxy: {
        httpAddress: { url: `http://c-harbor.${namespace}.svc.cluster.local`, audience: 'oci-connector' },
        nodeAddress: `localhost:7450/namespaces/${namespace}/connectors/harbor`,
      },
    });
    const service = await serviceOf(namespace);
    expect(service?.spec).toMatchObject({ type: 'ExternalName', externalName: proxyName });
    expect(service?.metadata.ownerReferences).toMatchObject([{ kind: 'Connector', uid: created.metadata.uid }]);
    expect(await eventsOnce(namespace, 1)).toEqual(['Normal Ready']);
    expect(writes).toEqual(['harbor Ready']);
    expect(JSON.stringify(await read(namespace))).not.toContain(robot.password);
  });

  test('tell of a wrong credential, and of its correction, at once', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    await start(namespace);
    await cluster.admin.create(resources.secrets, secretOf(namespace, 'canary-of-a-wrong-password'));
    await createConnector(namespace, { address: registry.origin, ...withSecret });
    const refused = await statusWith(namespace, 'Ready', 'False CredentialRefused');
    expect(conditionOf(refused.conditions ?? [], 'AuthReady')).toMatchObject({
      status: 'False',
      message: expect.stringMatching(/refused the credential with 401.*correct the Secret in spec.auth.secretRef/),
    });
    expect(JSON.stringify(refused)).not.toContain('canary');
    await cluster.admin.patch(
      resources.secrets,
      { namespace, name: 'robot' },
      { stringData: { password: robot.password } },
    );
    await statusWith(namespace, 'Ready', 'True Ready');
    await cluster.admin.delete(resources.secrets, { namespace, name: 'robot' });
    await statusWith(namespace, 'SecretReady', 'False SecretNotFound');
    expect(await eventsOnce(namespace, 3)).toEqual([
      'Normal Ready',
      'Warning CredentialRefused',
      'Warning SecretNotFound',
    ]);
  });

  test('follow their spec and their class', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const className = `class-${namespace}`;
    await start(namespace);
    await createConnector(namespace, { address: 'ftp://nowhere', connectorClassName: className });
    await statusWith(namespace, 'ConnectorClassReady', 'False ConnectorClassNotFound');
    await statusWith(namespace, 'LivenessReady', 'False AddressInvalid');
    await cluster.admin.create(resources.connectorClasses, { metadata: { name: className }, spec: {} });
    await statusWith(namespace, 'ConnectorClassReady', 'True ConnectorClassFound');
    await cluster.admin.patch(
      resources.connectors,
      { namespace, name: 'harbor' },
      { spec: { address: registry.origin } },
    );
    const alive = await statusWith(namespace, 'LivenessReady', 'True RegistryAlive');
    expect(alive.observedGeneration).toBe(2);
    const annotations = { 'connectors.cpaas.io/proxy-resolver': 'path' };
    await cluster.admin.patch(resources.connectorClasses, { name: className }, { metadata: { annotations } });
    const url = `http://c-harbor.${namespace}.svc.cluster.local/namespaces/${namespace}/connectors/harbor`;
    await eventually(
      () => read(namespace),
      (found) => statusOf({ status: found?.['status'] }).proxy?.httpAddress?.url === url,
    );
  });

  test('tell what to trust, and tell it anew when that changes', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const trust = {
      caBundle: 'first',
      change: () => {},
      onChange: (listener: () => void) => {
        trust.change = listener;
        return () => {};
      },
    };
    await start(namespace, { interception: trust, trustSpreadMs: 100 });
    for (const name of ['harbor', 'hub']) await createConnector(namespace, { address: registry.origin }, name);
    const trusting = (name: string, bundle: string) =>
      eventually(
        () => read(namespace, name),
        (found) => statusOf({ status: found?.['status'] }).proxy?.httpAddress?.CACerts === bundle,
      );
    for (const name of ['harbor', 'hub']) await trusting(name, 'first');
    trust.caBundle = 'second';
    trust.change();
    for (const name of ['harbor', 'hub']) await trusting(name, 'second');
  });

  test('have a Service that is repaired when it is edited, and made anew when it is deleted', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    await start(namespace);
    await createConnector(namespace, { address: registry.origin });
    await statusWith(namespace, 'ProxyServiceReady', 'True ServiceFound');
    const isRight = (service: Service | undefined) =>
      service?.spec?.type === 'ExternalName' &&
      service.spec.externalName === proxyName &&
      service.metadata.labels?.['app.kubernetes.io/managed-by'] === 'oci-connector';
    const key = { namespace, name: 'c-harbor' };
    for (const edit of [
      { spec: { externalName: 'evil.example.com' } },
      { spec: { type: 'ClusterIP', externalName: null, ports: [{ port: 80 }], selector: { app: 'evil' } } },
      { metadata: { labels: { 'app.kubernetes.io/managed-by': null } } },
    ]) {
      const edited = await cluster.admin.patch<Service>(resources.services, key, edit);
      expect(isRight(edited)).toBe(false);
      await eventually(() => serviceOf(namespace), isRight);
    }
    await cluster.admin.delete(resources.services, key);
    await eventually(() => serviceOf(namespace), isRight);
  });

  test('leave a Service that is not theirs as it is, and take the name when it is free', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const metadata = { namespace, name: 'c-harbor', labels: { 'app.kubernetes.io/managed-by': 'oci-connector' } };
    const foreign = await cluster.admin.create<Service>(resources.services, {
      metadata,
      spec: { type: 'ExternalName', externalName: 'theirs.example.com' },
    });
    await start(namespace);
    await createConnector(namespace, { address: registry.origin });
    const status = await statusWith(namespace, 'ProxyServiceReady', 'False ServiceNotOurs');
    expect(conditionOf(status.conditions ?? [], 'Ready')).toMatchObject({
      message: `Service ${namespace}/c-harbor is not ours and is left as it is: rename or delete it, or rename the connector`,
    });
    expect(await serviceOf(namespace)).toEqual(foreign);
    await cluster.admin.delete(resources.services, { namespace, name: 'c-harbor' });
    await statusWith(namespace, 'Ready', 'True Ready');
  });

  test('are written over what others have just written, never blindly', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const other = { type: 'Audited', status: 'True', reason: 'Theirs', lastTransitionTime: '2026-01-01T00:00:00Z' };
    let isFirst = true;
    /** Before our first write somebody else writes. */
    const client: KubernetesClient = Object.create(cluster.client, {
      patch: {
        value: async (...args: Parameters<KubernetesClient['patch']>) => {
          if (isFirst && args[3]?.subresource === 'status') {
            isFirst = false;
            const written = { status: { conditions: [other] } };
            await cluster.admin.patch(resources.connectors, args[1], written, { subresource: 'status' });
          }
          return cluster.client.patch(...args);
        },
      },
    });
    for (const name of ['get', 'list', 'watch', 'create', 'replace', 'delete', 'post'] as const) {
      Object.defineProperty(client, name, { value: cluster.client[name].bind(cluster.client) });
    }
    const { writes } = await start(namespace, { client });
    await createConnector(namespace, { address: registry.origin });
    const status = await statusWith(namespace, 'Ready', 'True Ready');
    expect(status.conditions?.[0]).toMatchObject(other);
    expect(writes).toEqual(['harbor Ready']);
  });

  test('are not written again by another leader that finds the same', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    const first = await start(namespace);
    await createConnector(namespace, { address: registry.origin });
    await statusWith(namespace, 'Ready', 'True Ready');
    first.leadership.abort();
    await first.reconciler.close();
    const { metadata } = (await read(namespace)) ?? {};
    const asked = registry.requests.length;
    const second = await start(namespace, { probeIntervalMs: 100, probeFreshMs: 0 });
    await registry.arrival(() => true, asked + 2);
    expect(second.writes).toEqual([]);
    expect((await read(namespace))?.metadata.resourceVersion).toBe(metadata?.resourceVersion);
  });

  test('that cannot be read are told so', async () => {
    const namespace = await createNamespace();
    const { metadata } = await createConnector(namespace, { address: 'https://registry.example.com' });
    const message = 'spec.address: must be a text';
    const problem = { reason: 'SpecInvalid', message, field: ['spec', 'address'] } as const;
    const resolved = unreadableConnector({ namespace, name: 'harbor' }, metadata.uid ?? '', problem);
    const store: ConnectorSource = {
      catalogue: { connectors: [resolved], connector: ({ name }) => (name === 'harbor' ? resolved : undefined) },
      document: () => undefined,
      connectorClass: () => undefined,
      onChange: () => () => {},
    };
    await start(namespace, { store });
    const status = await statusWith(namespace, 'Ready', 'False SpecInvalid');
    expect(status.observedGeneration).toBe(1);
    expect(await serviceOf(namespace)).toBeDefined();
  });

  test('wait for no dead registry of others', async () => {
    const [dead, alive] = [await registryOf(), await registryOf()];
    dead.faults.add({ fault: hanging });
    const namespace = await createNamespace();
    await start(namespace, { probeTimeoutMs: 60_000 });
    for (let at = 0; at < 20; at += 1) await createConnector(namespace, { address: dead.origin }, `dead-${at}`);
    await createConnector(namespace, { address: alive.origin });
    await statusWith(namespace, 'Ready', 'True Ready');
    await statusWith(namespace, 'Ready', 'Unknown Probing', 'dead-19');
    await statusWith(namespace, 'ProxyServiceReady', 'True ServiceFound', 'dead-19');
  });

  test('tell of a registry that has gone, after a second look, and of its return', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    await start(namespace, { probeIntervalMs: 200, probeFreshMs: 0 });
    await createConnector(namespace, { address: registry.origin });
    await statusWith(namespace, 'Ready', 'True Ready');
    registry.faults.add({ fault: answering(503) });
    await statusWith(namespace, 'Ready', 'False ServerError');
    await statusWith(namespace, 'AuthReady', 'Unknown LivenessNotReady');
    registry.faults.clear();
    await statusWith(namespace, 'Ready', 'True Ready');
  });

  // The garbage collector looks for new kinds of objects every 30 s.
  test('take their Service with them', async () => {
    const registry = await registryOf();
    const namespace = await createNamespace();
    await start(namespace);
    await createConnector(namespace, { address: registry.origin });
    const first = await eventually(
      () => serviceOf(namespace),
      (found) => found !== undefined,
    );
    await cluster.admin.delete(resources.connectors, { namespace, name: 'harbor' });
    const again = await createConnector(namespace, { address: registry.origin });
    await eventually(
      () => serviceOf(namespace),
      (found) => found?.metadata.ownerReferences?.[0]?.uid === again.metadata.uid,
    );
    expect(first?.metadata.ownerReferences?.[0]?.uid).not.toBe(again.metadata.uid);
    await statusWith(namespace, 'Ready', 'True Ready');
  }, 120_000);
});
