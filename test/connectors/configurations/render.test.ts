import { describe, expect, test } from 'vitest';
import { builtinClasses } from '../../../connectors/builtin-class.ts';
import { buildCatalogue } from '../../../connectors/catalogue.ts';
import type { ConfigurationWant } from '../../../connectors/configurations/protocol.ts';
import {
  documentsFor,
  renderConfigurations,
  revisionOf,
  templateProblems,
} from '../../../connectors/configurations/render.ts';
import type { Configuration, Document } from '../../../connectors/schema.ts';
import { ProxyError } from '../../../platform/errors.ts';
import { classOf, connectorOf } from '../documents.ts';

const context = { token: 'h.p.s', caBundle: '-----BEGIN CERTIFICATE-----\n', clusterDomain: 'cluster.local' };
const host = 'c-harbor.demo.svc.cluster.local';
const second = connectorOf({ address: 'https://quay.io/team' }, { name: 'quay', namespace: 'kube-public' });
const secondHost = 'c-quay.kube-public.svc.cluster.local';
const auth = Buffer.from('token:h.p.s').toString('base64');

const wantOf = (want: Partial<ConfigurationWant> = {}): ConfigurationWant => ({
  connectors: [{ namespace: 'demo', name: 'harbor' }],
  names: [],
  excluded: [],
  params: {},
  ...want,
});
const both = {
  connectors: [
    { namespace: 'demo', name: 'harbor' },
    { namespace: 'kube-public', name: 'quay' },
  ],
};

function filesOf(want: ConfigurationWant, documents: readonly Document[] = [connectorOf(), second]) {
  const files = renderConfigurations(want, documentsFor(want, buildCatalogue(documents)), context);
  return Object.fromEntries(files.map(({ name, content }) => [name, content]));
}

/** A class of an administrator's, with a connector `demo/harbor` of it. */
const ofClass = (...configurations: Configuration[]): Document[] => [
  connectorOf({ connectorClassName: 'own' }),
  classOf('own', { configurations }),
];

function refusalOf(want: ConfigurationWant, documents?: readonly Document[]) {
  try {
    filesOf(want, documents);
  } catch (error) {
    if (error instanceof ProxyError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('the built-in files', () => {
  test('stand in every volume', () => {
    const proxy = `http://demo%2Fharbor:h.p.s@${host}`;
    const direct = `localhost,127.0.0.1,::1,${host}`;
    expect(filesOf(wantOf())).toEqual({
      '.env': `HTTP_PROXY=${proxy}\nhttp_proxy=${proxy}\nHTTPS_PROXY=${proxy}\nhttps_proxy=${proxy}\nNO_PROXY=${direct}\nno_proxy=${direct}\n`,
      'http.proxy': proxy,
      'https.proxy': proxy,
      'context.token': 'h.p.s',
      'context.proxy.caCert': context.caBundle,
      'ca.crt': context.caBundle,
      'ca.cert': context.caBundle,
      'connector.status.proxyAddress': `http://${host}`,
    });
  });

  test('name all connectors to the forward proxy', () => {
    expect(filesOf(wantOf(both))['https.proxy']).toBe(`http://demo%2Fharbor,kube-public%2Fquay:h.p.s@${host}`);
  });

  test('show the path form where the class says so, and ask the forward proxy at the host all the same', () => {
    const annotations = { 'connectors.cpaas.io/proxy-resolver': 'path' };
    const own = { ...classOf('own'), metadata: { name: 'own', annotations } };
    const files = filesOf(wantOf(), [connectorOf({ connectorClassName: 'own' }), own]);
    expect(files['connector.status.proxyAddress']).toBe(`http://${host}/namespaces/demo/connectors/harbor`);
    expect(files['http.proxy']).toBe(`http://demo%2Fharbor:h.p.s@${host}`);
  });

  test('are left out by name, and are replaced by files of a configuration', () => {
    const files = filesOf(
      wantOf({ names: ['mine'], excluded: ['.env', 'ca.cert'] }),
      ofClass({ name: 'mine', data: { 'ca.crt': 'other' } }),
    );
    expect(Object.keys(files)).not.toContain('.env');
    expect(Object.keys(files)).not.toContain('ca.cert');
    expect(files['ca.crt']).toBe('other');
  });
});

describe('ConnectorClass oci', () => {
  test.each(['registry-config', 'docker-config'])('has the credentials of all proxy hosts in %s', (name) => {
    const files = filesOf(wantOf({ ...both, names: [name] }));
    expect(JSON.parse(files['config.json'] ?? '')).toEqual({ auths: { [host]: { auth }, [secondHost]: { auth } } });
  });

  const rows: [string, Record<string, string>, string, string][] = [
    [
      'buildkitd',
      {},
      'buildkitd.toml',
      `[registry."${host}"]\n  http = true\n[registry."${secondHost}"]\n  http = true\n`,
    ],
    [
      'buildkitd',
      { scheme: 'https' },
      'buildkitd.toml',
      `[registry."${host}"]\n  ca = ["/etc/connectors/harbor/ca.crt"]\n[registry."${secondHost}"]\n  ca = ["/etc/connectors/harbor/ca.crt"]\n`,
    ],
    [
      'buildkitd',
      { scheme: 'https', mountPath: '/mnt' },
      'buildkitd.toml',
      `[registry."${host}"]\n  ca = ["/mnt/ca.crt"]\n[registry."${secondHost}"]\n  ca = ["/mnt/ca.crt"]\n`,
    ],
    [
      'containers',
      {},
      'registries.conf',
      `unqualified-search-registries = ["docker.io"]\n\n[[registry]]\nlocation = "${host}"\ninsecure = true\n\n[[registry]]\nlocation = "${secondHost}"\ninsecure = true\n`,
    ],
    [
      'containers',
      { scheme: 'https' },
      'registries.conf',
      `unqualified-search-registries = ["docker.io"]\n\n[[registry]]\nlocation = "${host}"\ninsecure = false\n\n[[registry]]\nlocation = "${secondHost}"\ninsecure = false\n`,
    ],
  ];

  test.each(rows)('has %s with %j', (name, params, file, text) => {
    expect(filesOf(wantOf({ ...both, names: [name], params: { [name]: params } }))[file]).toBe(text);
  });

  test('has the insecure registries of dockerd, and the credentials of helm', () => {
    const files = filesOf(wantOf({ ...both, names: ['dockerd', 'helm'] }));
    expect(JSON.parse(files['daemon.json'] ?? '')).toEqual({ 'insecure-registries': [host, secondHost] });
    expect(JSON.parse(files['helm-registry.json'] ?? '')).toEqual({
      auths: { [host]: { auth }, [secondHost]: { auth } },
    });
  });

  const injections = builtinClasses.flatMap(({ spec }) => spec.configurations ?? []);

  test.each(injections)('has the files that variables of $name lead to', ({ name, injection }) => {
    const leads = (injection?.env ?? []).flatMap(({ value }) => /\$\(MOUNT_PATH\)\/(\S+)$/.exec(value)?.[1] ?? []);
    expect(Object.keys(filesOf(wantOf({ names: [name] })))).toEqual(expect.arrayContaining(leads));
  });
});

describe("an administrator's class", () => {
  test('renders the documented variables', () => {
    const text = [
      '{{ .connector.metadata.namespace }}/{{ .connector.metadata.name }}',
      '{{ .connector.spec.address }} {{ .connector.status.proxyAddress }}',
      '{{ range .connectors }}{{ .name }},{{ end }}',
      '{{ index .configurations "registry" }} {{ .configurations.mine.strict }}',
      '{{ .context.token }} {{ .connectorclass.proxyAddress }} {{ .connectorclass.name }}',
    ].join('\n');
    const params = [{ name: 'registry' }, { name: 'strict', default: true, description: 'whether' }];
    const want = wantOf({ names: ['mine'], params: { mine: { registry: 'npm' } } });
    expect(filesOf(want, ofClass({ name: 'mine', params, data: { file: text } }))['file']).toBe(
      [
        'demo/harbor',
        `https://harbor.example.com http://${host}`,
        'harbor,',
        'npm true',
        `h.p.s http://${host} own`,
      ].join('\n'),
    );
  });

  test('puts files of later configurations in place of those of earlier ones', () => {
    const documents = ofClass({ name: 'a', data: { f: 'of a' } }, { name: 'b', data: { f: 'of b' } });
    expect(filesOf(wantOf({ names: ['a', 'b'] }), documents)['f']).toBe('of b');
    expect(filesOf(wantOf({ names: ['b', 'a'] }), documents)['f']).toBe('of a');
  });

  test.each(['constructor', 'toString', 'hasOwnProperty'])(
    'may call a configuration, and a parameter, %s: what is not given has its default',
    (name) => {
      // A function, as everything has one of that name, has a name itself.
      const params = [
        { name: 'name', default: 'of the class' },
        { name, default: 'of the class' },
      ];
      const documents = ofClass({
        name,
        params,
        data: { f: `{{ .configurations.name }}, {{ .configurations.${name} }}` },
      });
      expect(filesOf(wantOf({ names: [name] }), documents)['f']).toBe('of the class, of the class');
      const given = wantOf({ names: [name], params: { [name]: { name: 'x' } } });
      expect(filesOf(given, documents)['f']).toBe('x, of the class');
    },
  );

  test('is that of the first connector which has the configuration', () => {
    const own = connectorOf({ connectorClassName: 'own' }, { name: 'own' });
    const documents = [connectorOf(), own, classOf('own', { configurations: [{ name: 'mine', data: { f: 'x' } }] })];
    const connectors = ['harbor', 'own'].map((name) => ({ namespace: 'demo', name }));
    const files = filesOf(wantOf({ connectors, names: ['mine', 'docker-config'] }), documents);
    expect(files['f']).toBe('x');
    expect(Object.keys(JSON.parse(files['config.json'] ?? '').auths)).toHaveLength(2);
  });
});

describe('what is refused', () => {
  const rows: [string, Partial<ConfigurationWant>, Document[] | undefined, string, RegExp][] = [
    [
      'a connector that is not there',
      { connectors: [{ namespace: 'x', name: 'y' }] },
      undefined,
      'CONNECTOR_UNKNOWN',
      /x\/y/,
    ],
    [
      'an unknown configuration',
      { names: ['registry-conf'] },
      undefined,
      'CONFIGURATION_UNKNOWN',
      /no configuration "registry-conf": ConnectorClass "oci" has registry-config, docker-config/,
    ],
    [
      'a parameter that is not declared',
      { names: ['buildkitd'], params: { buildkitd: { insecure: 'yes' } } },
      undefined,
      'CONFIGURATION_INVALID',
      /"buildkitd" has no parameter "insecure" \(it has: scheme, mountPath\)/,
    ],
    [
      'a parameter that is missing',
      { names: ['mine'] },
      ofClass({ name: 'mine', params: [{ name: 'registry' }] }),
      'CONFIGURATION_INVALID',
      /"mine" needs parameter "registry"/,
    ],
    [
      'a parameter that is missing, though everything has something of its name',
      { names: ['mine'], params: { mine: {} } },
      ofClass({ name: 'mine', params: [{ name: 'toString' }] }),
      'CONFIGURATION_INVALID',
      /"mine" needs parameter "toString"/,
    ],
    [
      'parameters of a configuration that is not wanted',
      { names: [], params: { buildkitd: {} } },
      undefined,
      'CONFIGURATION_INVALID',
      /names configuration "buildkitd"/,
    ],
    [
      'a template that cannot be parsed',
      { names: ['mine'] },
      ofClass({ name: 'mine', data: { f: 'one\ntwo {{ if }}' } }),
      'CONFIGURATION_INVALID',
      /ConnectorClass "own", configuration "mine", file "f", line 2, column \d+: /,
    ],
    [
      'a template that fails',
      { names: ['mine'] },
      ofClass({ name: 'mine', data: { f: '\n\n{{ index .connectors 7 }}' } }),
      'CONFIGURATION_INVALID',
      /file "f", line 3, column \d+: /,
    ],
    ...['../escape', 'a/b', '..', '.', '..data', '', 'a b', 'x'.repeat(254)].map((name): (typeof rows)[number] => [
      `file name ${JSON.stringify(name.slice(0, 20))}`,
      { names: ['mine'] },
      ofClass({ name: 'mine', data: { [name]: 'x' } }),
      'CONFIGURATION_INVALID',
      /that is no file name/,
    ]),
    [
      'a template that is too large',
      { names: ['mine'] },
      ofClass({ name: 'mine', data: { f: 'x'.repeat(65_537) } }),
      'CONFIGURATION_TOO_LARGE',
      /65536/,
    ],
    [
      'a template that makes too much',
      { names: ['mine'] },
      ofClass({ name: 'mine', data: { f: '{{ range 100000 }}{{ repeat 100 "y" }}{{ end }}' } }),
      'CONFIGURATION_INVALID',
      /file "f", line 1, column \d+: /,
    ],
    [
      'files that together take too long',
      { names: ['mine'] },
      ofClass({
        name: 'mine',
        data: Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`f${at}`, '{{ range until 900 }}{{ end }}'])),
      }),
      'CONFIGURATION_INVALID',
      /file "f\d+", line 1, column /,
    ],
    [
      'more files than a volume has',
      { names: ['mine'] },
      ofClass({ name: 'mine', data: Object.fromEntries(Array.from({ length: 250 }, (_, at) => [`f${at}`, ''])) }),
      'CONFIGURATION_TOO_LARGE',
      /258 files of at most 256/,
    ],
    [
      'connectors that are too large together',
      { names: [] },
      [
        connectorOf({
          params: Array.from({ length: 33 }, (_, at) => ({ name: `p${at}`, value: 'x'.repeat(8000) })),
        }),
      ],
      'CONFIGURATION_TOO_LARGE',
      /of at most 262144/,
    ],
    [
      'files that are too large together',
      { names: ['mine'] },
      ofClass({
        name: 'mine',
        data: Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`f${at}`, 'x'.repeat(50_000)])),
      }),
      'CONFIGURATION_TOO_LARGE',
      /of at most 1048576/,
    ],
  ];

  test.each(rows)('%s', (_what, want, documents, code, message) => {
    expect(refusalOf(wantOf(want), documents)).toEqual({ code, message: expect.stringMatching(message) });
  });
});

describe('the revision', () => {
  const revision = (want: ConfigurationWant, documents: readonly Document[] = [connectorOf(), second], ca = 'ca') =>
    revisionOf(want, documentsFor(want, buildCatalogue(documents)), { ...context, caBundle: ca });
  const want = wantOf({ names: ['docker-config'] });

  test('is the same for the same files, in every process', () => {
    expect(revision(want)).toBe(revision(structuredClone(want)));
    expect(revision(want, [second, connectorOf()])).toBe(revision(want));
  });

  const changes: [string, () => string][] = [
    ['the connector', () => revision(want, [connectorOf({ address: 'https://other.example.com' })])],
    ['the class', () => revision(want, ofClassNamed('oci', { name: 'docker-config', data: { f: 'x' } }))],
    ['the authority', () => revision(want, undefined, 'another ca')],
    ['what is wanted', () => revision(wantOf({ names: ['docker-config'], excluded: ['.env'] }))],
  ];
  test.each(changes)('changes with %s', (_what, changed) => {
    expect(changed()).not.toBe(revision(want));
  });

  test('stays when another configuration of the class changes', () => {
    const a = { name: 'a', data: { f: 'x' } };
    const before = ofClass(a, { name: 'b', data: { f: 'x' } });
    const after = ofClass(a, { name: 'b', data: { f: 'y' } });
    expect(revision(wantOf({ names: ['a'] }), after)).toBe(revision(wantOf({ names: ['a'] }), before));
  });
});

const ofClassNamed = (name: string, ...configurations: Configuration[]): Document[] => [
  connectorOf(),
  classOf(name, { configurations }),
];

test('what is wrong with the templates of a class is told without rendering them', () => {
  const configurations = [
    { name: 'good', data: { f: '{{ .context.token }}' } },
    { name: 'bad', data: { f: 'x\n{{ nosuch }}', '../g': '' } },
  ];
  expect(templateProblems(configurations)).toEqual([
    expect.stringMatching(/^configuration "bad", file "f", line 2, column \d+: /),
    'configuration "bad", file "../g": that is no file name',
  ]);
});
