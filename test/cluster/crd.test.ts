import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readConnector, readConnectorClass, readSecret } from '../../connectors/cluster-documents.ts';
import { secretValue } from '../../connectors/connector-parts.ts';
import { statusOf } from '../../connectors/status.ts';
import { partPath } from '../real/support/find-part.ts';
import { requireParts } from '../real/support/parts.ts';
import { type ControlPlane, startControlPlane } from './support/control-plane.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const examples = readdirSync(join(deploy, 'examples')).map((file) => `examples/${file}`);

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

const manifestsOf = (file: string): Manifest[] =>
  parseAllDocuments(readFileSync(join(deploy, file), 'utf8')).map((document) => document.toJS());

const connector = (name: string, spec: object = {}, more: object = {}) => ({
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'Connector',
  metadata: { name, namespace: 'demo' },
  spec: { connectorClassName: 'oci', address: 'https://registry.example.com', ...spec },
  ...more,
});

requireParts(
  'etcd',
  'kube-apiserver',
  'kubectl',
)('the CRDs on an API server', () => {
  let plane: ControlPlane;

  interface Answer {
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }

  async function tryKubectl(args: readonly string[], input?: object): Promise<Answer> {
    const child = execFile(partPath('kubectl'), ['--kubeconfig', plane.kubeconfig, ...args], () => undefined);
    const written = { stdout: '', stderr: '' };
    child.stdout?.on('data', (part) => (written.stdout += part));
    child.stderr?.on('data', (part) => (written.stderr += part));
    child.stdin?.end(input === undefined ? '' : JSON.stringify(input));
    const [code] = await once(child, 'close');
    return { code, ...written };
  }

  async function kubectl(args: readonly string[], input?: object): Promise<string> {
    const answer = await tryKubectl(args, input);
    if (answer.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${answer.stderr}`);
    return answer.stdout;
  }

  const read = async (kind: string, name: string): Promise<Manifest> =>
    JSON.parse(await kubectl(['get', kind, name, '-n', 'demo', '-o', 'json']));
  const apply = (object: object) => kubectl(['apply', '-f', '-'], object);

  beforeAll(async () => {
    plane = await startControlPlane();
    await kubectl(['apply', '-f', join(deploy, 'crds')]);
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await kubectl(['create', 'namespace', 'demo']);
    await kubectl(['apply', '-f', join(deploy, 'classes')]);
  });

  afterAll(async () => {
    await plane?.stop();
  });

  test('are structural and accepted', async () => {
    const { items } = JSON.parse(await kubectl(['get', 'crd', '-o', 'json']));
    const conditions = items.map((crd: { status: { conditions: { type: string; status: string }[] } }) =>
      crd.status.conditions.map(({ type, status }) => `${type}=${status}`).sort(),
    );
    expect(conditions).toEqual(Array(2).fill(['Established=True', 'NamesAccepted=True']));
  });

  test('are explained', async () => {
    const text = await kubectl(['explain', 'connector.spec.auth.secretRef']);
    expect(text.replace(/\s+/g, ' ')).toContain('Secret with the credential, in the namespace of the connector');
  });

  test.each(examples)('take %s as it stands, by whichever kind of apply', async (file) => {
    for (const flags of [[], ['--server-side', '--force-conflicts']]) {
      await kubectl(['apply', '--validate=strict', ...flags, '-f', join(deploy, file)]);
      for (const written of manifestsOf(file).filter(({ kind }) => kind !== 'Secret')) {
        const found = await read(written.kind, written.metadata.name);
        const annotations = { ...(found.metadata['annotations'] as object) };
        Reflect.deleteProperty(annotations, 'kubectl.kubernetes.io/last-applied-configuration');
        expect(found['spec']).toEqual(written['spec']);
        expect(annotations).toEqual(written.metadata['annotations'] ?? {});
        const reader = written.kind === 'Connector' ? readConnector : readConnectorClass;
        expect(reader(found)).toMatchObject({ ok: true, unknownFields: [], document: { spec: written['spec'] } });
      }
    }
  });

  test('have Secrets beside them, which are read as they are listed', async () => {
    await kubectl(['apply', '-f', join(deploy, 'examples/token-auth.yaml')]);
    const { items } = JSON.parse(await kubectl(['get', '--raw', '/api/v1/namespaces/demo/secrets']));
    const secret = items.find((item: Manifest) => item.metadata.name === 'harbor-robot');
    const read = readSecret(secret);
    expect(read).toMatchObject({ ok: true, unknownFields: [], document: { kind: 'Secret' } });
    expect(read.ok && secretValue(read.document, 'username')).toBe('robot$demo');
  });

  test('have the class oci, which reads back as the one that is built in', async () => {
    const written = parse(readFileSync(join(deploy, 'classes/oci.yaml'), 'utf8'));
    expect(readConnectorClass(await read('ConnectorClass', 'oci'))).toMatchObject({
      ok: true,
      document: { spec: written.spec },
    });
  });

  const long = 'a'.repeat(62);
  test.each<[what: string, object: object, message: RegExp]>([
    ['a name too long for the Service', connector(long), /metadata.name must be a DNS label .* at most 61 characters/],
    ['a name with dots', connector('a.b'), /metadata.name must be a DNS label/],
    ['no address', connector('bad', { address: undefined }), /spec.address: Required value/],
    ['an empty address', connector('bad', { address: '' }), /spec.address.*should be at least 1 chars/],
    [
      'a credential in the address',
      connector('bad', { address: 'https://user:pass@registry.example.com' }),
      /spec.address: Invalid value.*an address holds no credential: put it into a Secret/,
    ],
    ['no class', connector('bad', { connectorClassName: undefined }), /spec.connectorClassName: Required value/],
    ['no spec', { ...connector('bad'), spec: undefined }, /spec: Required value/],
    ['an address that is a number', connector('bad', { address: 5000 }), /spec.address.*must be of type string/],
    [
      'a parameter that is a number',
      connector('bad', { params: [{ name: 'a', value: 1 }] }),
      /spec.params\[0\].value.*must be of type string/,
    ],
    [
      'one parameter twice',
      connector('bad', { params: [1, 2].map((value) => ({ name: 'redirect', value: `${value}` })) }),
      /spec.params\[1\]: Duplicate value/,
    ],
    [
      'a Secret without a name',
      connector('bad', { auth: { name: 'tokenAuth', secretRef: {} } }),
      /spec.auth.secretRef.name: Required value/,
    ],
    ['an unknown field', connector('bad', { adress: 'x' }), /unknown field "spec.adress"/],
    [
      'an unknown field of the Secret reference',
      connector('bad', { auth: { name: 'tokenAuth', secretRef: { name: 's', key: 'k' } } }),
      /unknown field "spec.auth.secretRef.key"/,
    ],
  ])('refuse %s and say what to do', async (_what, object, message) => {
    const answer = await tryKubectl(['create', '--validate=strict', '-f', '-'], object);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr.replace(/\s+/g, ' ')).toMatch(message);
  });

  test('take a name of 61 characters', async () => {
    await apply(connector(long.slice(1)));
    expect(readConnector(await read('connector', long.slice(1))).ok).toBe(true);
  });

  test('have a status of its own, which changes no generation, and show it', async () => {
    await apply(connector('shown', {}, { status: { observedGeneration: 7 } }));
    expect((await read('connector', 'shown'))['status']).toBeUndefined();
    const status = {
      observedGeneration: 1,
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'SecretNotFound',
          message: 'there is no Secret "x" in namespace "demo"',
          lastTransitionTime: '2026-01-02T03:04:05Z',
        },
        { type: 'SpecSupported', status: 'False', reason: 'FieldsIgnored', severity: 'Info' },
      ],
      proxy: {
        httpAddress: {
          url: 'http://c-shown.demo.svc.cluster.local',
          CACerts: '',
          audience: 'oci-connector',
          name: 'http',
        },
        nodeAddress: 'localhost:7450/namespaces/demo/connectors/shown',
      },
    };
    const patch = ['patch', 'connector', 'shown', '-n', 'demo', '--subresource', 'status', '--type', 'merge', '-p'];
    await kubectl([...patch, JSON.stringify({ status, spec: { address: 'https://other.example.com' } })]);
    const found = await read('connector', 'shown');
    expect(found).toMatchObject({
      status,
      spec: { address: 'https://registry.example.com' },
      metadata: { generation: 1 },
    });
    const document = readConnector(found);
    expect(document).toMatchObject({ ok: true, unknownFields: [] });
    expect(document.ok && statusOf(document.document)).toEqual(status);

    const [header = '', row = ''] = (await kubectl(['get', 'connectors', 'shown', '-n', 'demo'])).split('\n');
    expect(header.split(/\s+/).filter(Boolean)).toEqual(['NAME', 'CLASS', 'ADDRESS', 'READY', 'REASON', 'AGE']);
    expect(row).toMatch(/^shown +oci +https:\/\/registry\.example\.com +False +SecretNotFound +\d+s/);
    expect(await kubectl(['get', 'connectorclasses'])).toMatch(/^NAME +AGE\n/);
  });

  test('merge conditions and parameters by their key', async () => {
    const by = (manager: string, object: object, flags: string[] = []) =>
      kubectl(['apply', '--server-side', `--field-manager=${manager}`, ...flags, '-f', '-'], object);
    await by('a', connector('merged', { params: [{ name: 'redirect', value: 'follow' }] }));
    await by('b', {
      ...connector('merged'),
      spec: { connectorClassName: 'oci', address: 'https://registry.example.com', params: [{ name: 'x', value: '1' }] },
    });
    const names = ((await read('connector', 'merged'))['spec'] as { params: { name: string }[] }).params;
    expect(names.map(({ name }) => name).sort()).toEqual(['redirect', 'x']);
  });

  describe('with the policy', () => {
    const auth = (namespace?: string) => ({
      auth: { name: 'tokenAuth', secretRef: { name: 's', ...(namespace && { namespace }) } },
    });

    test('refuse the Secret of another namespace, and let older ones be cleaned up', async () => {
      await apply(connector('older', auth('other')));
      await kubectl(['apply', '-f', join(deploy, 'policies')]);
      const refused = await refusal(connector('newer', auth('other')));
      expect(refused.replace(/\s+/g, ' ')).toContain(
        `spec.auth.secretRef.namespace is "other", but a Secret must be in the connector's own namespace "demo": leave the field out`,
      );
      for (const object of [connector('own', auth('demo')), connector('none', auth()), connector('open')]) {
        await apply(object);
      }
      await kubectl(['label', 'connector', 'older', '-n', 'demo', 'a=b']);
      const patch = ['patch', 'connector', 'older', '-n', 'demo', '--type', 'merge', '-p'];
      const moved = await tryKubectl([...patch, '{"spec":{"address":"https://x.example.com"}}']);
      expect(moved.stderr).toContain('leave the field out');
      await kubectl([...patch, '{"spec":{"auth":{"secretRef":{"namespace":null}}}}']);
    });

    /** The API server takes up a policy in its own time; until then it admits. */
    async function refusal(object: ReturnType<typeof connector>): Promise<string> {
      const until = Date.now() + 20_000;
      for (;;) {
        const answer = await tryKubectl(['create', '--dry-run=server', '-f', '-'], object);
        if (answer.code !== 0) return answer.stderr;
        if (Date.now() > until) throw new Error('the policy has not been taken up');
      }
    }
  });
});
