import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { formatKey } from '../../connectors/address.ts';
import { buildCatalogue, type ConnectorCatalogue } from '../../connectors/catalogue.ts';
import { readConnector, readConnectorClass, readSecret } from '../../connectors/cluster-documents.ts';
import { ClusterStore, type ClusterStoreOptions } from '../../connectors/cluster-store.ts';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import { parseImageReference } from '../../connectors/image-reference.ts';
import type { Document } from '../../connectors/schema.ts';
import type { KubernetesObject } from '../../platform/kubernetes/object.ts';
import { ManualTimers } from '../platform/kubernetes/support/manual-timers.ts';
import { FakeInformer, FakeWatches } from './cluster-fakes.ts';
import { classOf, connectorOf, secretOf, withSecret } from './documents.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open(more: Partial<ClusterStoreOptions> = {}) {
  const parts = {
    connectors: new FakeInformer(),
    classes: new FakeInformer(),
    namespaces: new FakeInformer(),
    secrets: new FakeWatches(),
  };
  const store = new ClusterStore({ ...parts, ...more });
  onTestFinished(() => store.close());
  const changes: string[][] = [];
  store.onChange((keys) => changes.push(keys.map(formatKey)));
  const put = (...documents: Document[]) => {
    for (const document of documents) partOf(document.kind).put(asObject(document));
  };
  const remove = (...documents: Document[]) => {
    for (const { kind, metadata } of documents) partOf(kind).remove(keyOfDocument(kind, metadata));
  };
  const partOf = (kind: Document['kind']) =>
    ({
      Connector: parts.connectors,
      ConnectorClass: parts.classes,
      Namespace: parts.namespaces,
      Secret: parts.secrets,
    })[kind];
  return { ...parts, store, changes, put, remove };
}

const keyOfDocument = (kind: string, { name, namespace }: { name: string; namespace?: string | undefined }) =>
  kind === 'Connector' || kind === 'Secret' ? { namespace: namespace ?? '', name } : { name };
const asObject = (document: Document) => document as unknown as KubernetesObject;
/** Lets everything that was gathered be resolved, and Secrets named by it be read. */
const settle = () => vi.advanceTimersByTimeAsync(100);
const demo = { namespace: 'demo', name: 'harbor' };
const reasons = (connector: ResolvedConnector | undefined) => connector?.problems.map(({ reason }) => reason);

const namespaces = ['demo', 'other', 'kube-public'];
const images = ['a.example.com/x', 'a.example.com/team/x', 'b.example.com/team/deep/x', 'nginx'];

const names = fc.constantFrom('one', 'two', 'three');
const connectors = fc
  .record({
    namespace: fc.constantFrom(...namespaces),
    name: names,
    address: fc.constantFrom(
      'https://a.example.com',
      'https://a.example.com/team',
      'https://b.example.com',
      'ftp://x',
      'docker.io',
    ),
    connectorClassName: fc.constantFrom('oci', 'own', 'none'),
    secret: fc.option(names),
    ca: fc.option(names),
  })
  .map(({ namespace, name, secret, ca, ...spec }) =>
    connectorOf(
      {
        ...spec,
        ...(secret === null ? {} : withSecret(secret)),
        ...(ca === null ? {} : { caCertSecretRef: { name: ca } }),
      },
      { namespace, name, uid: `${namespace}-${name}` },
    ),
  );
const secrets = fc
  .record({ namespace: fc.constantFrom(...namespaces), name: names, password: fc.constantFrom('p', 'q') })
  .map(({ namespace, name, password }): Document => {
    const secret = secretOf(name, { username: 'u', password });
    return { ...secret, metadata: { namespace, name } };
  });
const classes = fc
  .record({ name: fc.constantFrom('own', 'oci'), type: fc.constantFrom('tokenAuth', 'other') })
  .map(
    ({ name, type }): Document => classOf(name, { auth: { types: [{ name: type, secretType: 'x', optional: true }] } }),
  );
const someNamespaces = fc.record({ name: fc.constantFrom(...namespaces), label: fc.boolean() }).map(
  ({ name, label }): Document => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'connectors.cpaas.io/proxy-inject': `${label}` } },
  }),
);
const steps = fc.array(
  fc.record({
    document: fc.oneof(connectors, connectors, secrets, classes, someNamespaces),
    isRemoved: fc.boolean(),
    isSettled: fc.boolean(),
  }),
  { maxLength: 40 },
);

/** With its fields in the order that reading gives them, in which revisions hash them. */
function asRead(document: Document): Document {
  const readers = {
    Connector: readConnector,
    ConnectorClass: readConnectorClass,
    Secret: readSecret,
    Namespace: undefined,
  };
  const read = readers[document.kind]?.(document);
  return read?.ok ? read.document : document;
}

/** All that a catalogue answers. */
function answersOf(catalogue: ConnectorCatalogue) {
  const sorted = catalogue.connectors.toSorted((a, b) => (formatKey(a.key) < formatKey(b.key) ? -1 : 1));
  const found = namespaces.flatMap((namespace) =>
    images.map((image) => {
      const parsed = parseImageReference(image);
      const match = parsed.ok ? catalogue.find(parsed.reference, namespace) : undefined;
      return match && [formatKey(match.connector.key), ...match.rivals.map(({ key }) => formatKey(key))];
    }),
  );
  return { connectors: sorted, found, namespaces: namespaces.map((name) => catalogue.namespace(name)) };
}

describe('whatever changes, in whatever order', () => {
  test('the catalogue is that of the documents there are', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const { store, put, remove, secrets: watches } = open();
        const current = new Map<string, Document>();
        for (const { document, isRemoved, isSettled } of all) {
          const { kind, metadata } = document;
          const key = `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
          if (isRemoved) {
            current.delete(key);
            remove(document);
          } else {
            current.set(key, document);
            put(document);
          }
          if (isSettled) await settle();
        }
        await settle();
        const catalogue = buildCatalogue([...current.values()].map(asRead));
        expect(answersOf(store.catalogue)).toEqual(answersOf(catalogue));
        expect(store.size).toBe(catalogue.connectors.length);
        expect(store.isSynced).toBe(true);
        for (const connector of catalogue.connectors) {
          expect(store.catalogue.connector(connector.key)).toEqual(connector);
        }
        const named = [...current.values()].flatMap((document) => {
          if (document.kind !== 'Connector') return [];
          const { auth, caCertSecretRef } = document.spec;
          return [auth?.secretRef?.name, caCertSecretRef?.name].flatMap((name) =>
            name === undefined ? [] : [`${document.metadata.namespace}/${name}`],
          );
        });
        expect(watches.wanted).toEqual([...new Set(named)].sort());
        store.close();
      }),
      { numRuns: 200 },
    );
  });
});

describe('a change', () => {
  test('of a Connector, its class, or its Secret is told once, with those that it concerns', async () => {
    const { changes, put, remove } = open();
    const own = classOf('own', { auth: { types: [{ name: 'tokenAuth', secretType: 'x', optional: true }] } });
    const [a, b] = ['a', 'b'].map((name) => connectorOf({ connectorClassName: 'own', ...withSecret('s') }, { name }));
    const other = connectorOf({}, { name: 'other' });
    put(own, secretOf('s', { username: 'u', password: 'p' }), a as Document, b as Document, other);
    await settle();
    changes.length = 0;
    put(own);
    await settle();
    expect(changes.splice(0)).toEqual([['demo/a', 'demo/b']]);
    put(secretOf('s', { username: 'u', password: 'q' }));
    put(secretOf('s', { username: 'u', password: 'r' }));
    await settle();
    expect(changes.splice(0)).toEqual([['demo/a', 'demo/b']]);
    remove(a as Document);
    await settle();
    expect(changes.splice(0)).toEqual([['demo/a']]);
    put(secretOf('s', { username: 'u', password: 's' }), other);
    await settle();
    expect(changes.splice(0)).toEqual([['demo/b', 'demo/other']]);
  });

  test('of the Secret changes the revision, of the status what is known of it, and of nothing nothing', async () => {
    const { store, put } = open();
    put(connectorOf(withSecret('s')), secretOf('s', { username: 'u', password: 'p' }));
    await settle();
    const before = store.catalogue.connector(demo);
    put(secretOf('s', { username: 'u', password: 'q' }));
    await settle();
    const after = store.catalogue.connector(demo);
    expect(after?.revision).not.toBe(before?.revision);
    const status = { conditions: [{ type: 'Ready', status: 'False', reason: 'X' }] };
    put({ ...connectorOf(withSecret('s')), status } as Document);
    await settle();
    expect(store.catalogue.connector(demo)).toMatchObject({ revision: after?.revision, isReady: false });
  });

  test('of the class "oci" wins over the one that is built in, as long as it is there', async () => {
    const { store, put, remove } = open();
    put(connectorOf(withSecret('s')), secretOf('s', { username: 'u', password: 'p' }));
    await settle();
    expect(reasons(store.catalogue.connector(demo))).toEqual([]);
    put(classOf('oci', {}));
    await settle();
    expect(reasons(store.catalogue.connector(demo))).toEqual(['AuthTypeUnknown']);
    remove(classOf('oci', {}));
    await settle();
    expect(reasons(store.catalogue.connector(demo))).toEqual([]);
  });
});

describe('Secrets', () => {
  test('are watched where they are named, by however many, and no longer', async () => {
    const { secrets: watches, put, remove } = open();
    const [a, b] = ['a', 'b'].map((name) => connectorOf(withSecret('s'), { name })) as [Document, Document];
    put(a, b, connectorOf({ caCertSecretRef: { name: 'ca' } }, { name: 'c' }));
    await settle();
    expect(watches.wanted).toEqual(['demo/ca', 'demo/s']);
    remove(a);
    await settle();
    expect(watches.wanted).toEqual(['demo/ca', 'demo/s']);
    remove(b);
    await settle();
    expect(watches.wanted).toEqual(['demo/ca']);
  });

  test('are not asked for anew where a change names no other', async () => {
    const { secrets: watches, put } = open();
    put(connectorOf(withSecret('s')));
    await settle();
    const { wants } = watches;
    put(connectorOf({ ...withSecret('s'), address: 'https://other.example.com' }));
    await settle();
    expect(watches.wants).toBe(wants);
    put(connectorOf(withSecret('t')));
    await settle();
    expect(watches.wanted).toEqual(['demo/t']);
  });

  test('of namespaces that may not be read are not watched, and the connector says why', async () => {
    const { store, secrets: watches, put } = open({ secretNamespaces: new Set(['demo']) });
    put(
      connectorOf(withSecret('s')),
      connectorOf(withSecret('s'), { namespace: 'other' }),
      connectorOf({}, { namespace: 'other', name: 'open' }),
      secretOf('s', { username: 'u', password: 'p' }),
    );
    await settle();
    expect(watches.wanted).toEqual(['demo/s']);
    expect(reasons(store.catalogue.connector(demo))).toEqual([]);
    expect(reasons(store.catalogue.connector({ namespace: 'other', name: 'harbor' }))).toEqual(['SecretsNotReadable']);
    expect(reasons(store.catalogue.connector({ namespace: 'other', name: 'open' }))).toEqual([]);
  });

  test('that cannot be read keep the store from being synced, and nobody from starting for long', async () => {
    const { store, secrets: watches, put } = open();
    watches.isPrompt = false;
    put(connectorOf(withSecret('s')));
    await settle();
    expect(store.isSynced).toBe(false);
    let isDone = false;
    const synced = store.synced(5_000).then(() => {
      isDone = true;
    });
    vi.useRealTimers();
    await Promise.resolve();
    expect(isDone).toBe(false);
    watches.sync();
    await expect.poll(() => isDone).toBe(true);
    await synced;
    expect(store.isSynced).toBe(true);
  });

  test('are waited for as long as there is another one to be read; changes of one are no progress', async () => {
    const timers = new ManualTimers();
    const { store, secrets: watches, put } = open({ timers });
    watches.isPrompt = false;
    const names = ['a', 'b', 'c', 'unreadable'];
    put(...names.map((name) => connectorOf(withSecret(name), { name })));
    await settle();
    vi.useRealTimers();
    let isDone = false;
    const synced = store.synced(1_000).then(() => {
      isDone = true;
    });
    for (const name of ['a', 'b', 'c']) {
      await timers.advance(900);
      expect(isDone, `before ${name} is read`).toBe(false);
      watches.sync(`demo/${name}`);
    }
    await timers.advance(900);
    watches.put(asObject(secretOf('a', { username: 'u', password: 'p' })));
    expect(isDone).toBe(false);
    await timers.advance(200);
    expect(isDone).toBe(true);
    await synced;
    expect(store.isSynced).toBe(false);
  });

  test('of an unexpected shape are none', async () => {
    const { store, secrets: watches, put } = open();
    put(connectorOf(withSecret('s')));
    watches.put({ metadata: { namespace: 'demo', name: 's' }, type: 7, data: 'text' });
    await settle();
    expect(reasons(store.catalogue.connector(demo))).toEqual(['SecretNotFound']);
  });
});

describe('a Connector that cannot be read', () => {
  test('is there with its reason, matches nothing, and is well again when it is mended', async () => {
    const { store, connectors: informer, put, secrets: watches } = open();
    put(connectorOf(withSecret('s')), secretOf('s', { username: 'u', password: 'p' }));
    await settle();
    informer.put({ metadata: { ...demo, uid: 'u' }, spec: { address: 7 } });
    await settle();
    const broken = store.catalogue.connector(demo);
    expect(broken).toMatchObject({ uid: 'u', credentials: [], address: { registries: [] } });
    expect(reasons(broken)).toEqual(['SpecInvalid']);
    expect(store.document(demo)).toBeUndefined();
    expect(watches.wanted).toEqual([]);
    expect(answersOf(store.catalogue).found.every((found) => found === undefined)).toBe(true);
    put(connectorOf(withSecret('s')));
    await settle();
    expect(reasons(store.catalogue.connector(demo))).toEqual([]);
    expect(store.document(demo)).toBeDefined();
  });

  test.each<[string, object]>([
    ['has no spec', {}],
    ['has null for one', { spec: null }],
    ['has a list for one', { spec: [] }],
    ['has an unknown field', { spec: { connectorClassName: 'oci', address: 'https://x.example.com', newer: 1 } }],
    ['has a CA that is none', { spec: { connectorClassName: 'oci', address: 'x', caCertSecretRef: { name: '../x' } } }],
  ])('breaks nothing where it %s', async (_what, more) => {
    const { store, connectors: informer, put } = open();
    informer.put({ metadata: { namespace: 'demo', name: 'odd' }, ...more });
    put(connectorOf());
    await settle();
    expect(store.size).toBe(2);
    expect(reasons(store.catalogue.connector(demo))).toEqual([]);
  });
});

test('what was there before it opened is in it', async () => {
  const informer = new FakeInformer();
  informer.put(asObject(connectorOf()));
  const { store } = open({ connectors: informer });
  expect(store.isSynced).toBe(false);
  await settle();
  expect(store.isSynced).toBe(true);
  expect(store.catalogue.connector(demo)).toBeDefined();
});

test('once closed it hears of nothing', async () => {
  const { store, connectors: informer, classes: second, secrets: watches, changes, put } = open();
  put(connectorOf());
  store.close();
  put(connectorOf({}, { name: 'other' }));
  await settle();
  expect(changes).toEqual([]);
  expect([informer.listeners, second.listeners, watches.listeners]).toEqual([0, 0, 0]);
});

test('of ten thousand connectors, a change costs no more than of a hundred', { timeout: 60_000 }, async () => {
  const costOf = async (count: number) => {
    const { store, put } = open();
    const at = (index: number, address = `https://r${index}.example.com`) =>
      connectorOf({ address, ...withSecret(`s${index}`) }, { namespace: `n${index % 500}`, name: `c${index}` });
    for (let index = 0; index < count; index += 1) put(at(index));
    await settle();
    expect(store.size).toBe(count);
    const costs: number[] = [];
    for (let round = 0; round < 30; round += 1) {
      put(at(round, `https://changed${round}.example.com`));
      const startedAt = performance.now();
      vi.advanceTimersByTime(100);
      costs.push(performance.now() - startedAt);
    }
    store.close();
    return costs.toSorted((a, b) => a - b)[15] ?? 0;
  };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'queueMicrotask'] });
  await costOf(100);
  const [few, many] = [await costOf(100), await costOf(10_000)];
  // A full rebuild would cost a hundred times as much.
  expect(many).toBeLessThan(few * 10 + 1);
});
