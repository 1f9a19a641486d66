import { expect, test } from 'vitest';
import { parseConfiguration, readEnvironment } from '../../kubelet/configuration.ts';

const file = '/etc/provider.yaml';
function settingsOf(text: string) {
  const read = parseConfiguration(text, file);
  if (!read.ok) throw new Error(read.problems.join('\n'));
  return read.settings;
}
function problemsOf(text: string): readonly string[] {
  const read = parseConfiguration(text, file);
  return read.ok ? [] : read.problems;
}
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.each(['', '# nothing\n', '{}', 'null'])('a file that says nothing, %j, has the defaults', (text) => {
  expect(settingsOf(text)).toEqual({
    invocation: {
      log: { file: '/var/log/oci-connector/credential-provider.log', maxBytes: 10 * 1024 * 1024, level: 'info' },
      cacheDir: '/run/oci-connector/credential-provider',
      timeoutMs: 10_000,
      connectorAddress: undefined,
    },
    principal: expect.objectContaining({
      auth: 'instance',
      username: 'BEARER_TOKEN',
      registryProtocol: 'https',
      registryTokenPath: undefined,
      isTokenValidated: false,
    }),
    imagePullSecrets: [],
    remarks: [],
  });
});

test("the file of Oracle's provider is read as that reads it", () => {
  const text = `registryTokenPath: /20180419/docker/token
defaultUser: BEARER_TOKEN
registryProtocol: https
ocirAuthMethod: USER_PRINCIPAL
tokenValidation: Enabled
`;
  expect(settingsOf(text).principal).toMatchObject({
    auth: 'user',
    username: 'BEARER_TOKEN',
    registryProtocol: 'https',
    registryTokenPath: '/20180419/docker/token',
    isTokenValidated: true,
  });
});

test.each([
  ['INSTANCE_PRINCIPAL', 'instance'],
  ['USER_PRINCIPAL', 'user'],
  ['RESOURCE_PRINCIPAL', 'resource'],
  ['WORKLOAD_IDENTITY', 'workload'],
  ['AUTO', 'auto'],
])('ocirAuthMethod %s is %s', (method, auth) => {
  expect(settingsOf(`ocirAuthMethod: ${method}`).principal.auth).toBe(auth);
});

test.each([
  ['enabled', true],
  ['ENABLED', true],
  ['true', true],
  ['"true"', true],
  ['disabled', false],
  ['false', false],
  ['""', false],
])('tokenValidation %s is %s', (text, expected) => {
  expect(settingsOf(`tokenValidation: ${text}`).principal.isTokenValidated).toBe(expected);
});

test('what is ours is read, from YAML and from JSON', () => {
  const text = `
imagePullSecrets:
  - { secretType: VAULT, registryEndpoint: example.registry.io/abc, secretId: ocid1.vaultsecret.oc1.x.y }
  - { secretType: BASIC, registryEndpoint: example.registry.io, username: ${base64('u')}, password: ${base64('p')} }
connector: {}
oracle: { metadataUrl: "http://127.0.0.1:1/", domains: [registry.example.com], configFile: /root/.oci/config, profile: X }
log: { file: journal, maxBytes: 8192, level: debug }
cacheDir: none
timeout: 2.5s
`;
  const settings = settingsOf(text);
  expect(settings).toMatchObject({
    invocation: {
      log: { file: undefined, maxBytes: 8192, level: 'debug' },
      cacheDir: undefined,
      timeoutMs: 2500,
      connectorAddress: 'localhost:7450',
    },
    principal: { metadataUrl: 'http://127.0.0.1:1/', domains: ['registry.example.com'], profile: 'X' },
    imagePullSecrets: [{ secretType: 'VAULT' }, { secretType: 'BASIC' }],
  });
  const json = JSON.stringify({ connector: { address: 'localhost:1' }, timeout: '3s' }, null, 2);
  expect(settingsOf(json).invocation).toMatchObject({ connectorAddress: 'localhost:1', timeoutMs: 3000 });
});

test.each([
  ['x: 1', ':1: x: unknown field'],
  ['\nlog:\n  file: journal\n  size: 5\n', ':4: log.size: unknown field'],
  ['a: [', ':1: '],
  ['timeout: 5s\ntimeout: 6s', ':2: the key stands twice'],
  ['timeout: 60s', ':1: timeout: has to be 55s at most'],
  ['timeout: 10', ':1: timeout: '],
  ['timeout: soon', ':1: timeout: has to be a duration, as 10s'],
  ['\ncacheDir: here', ':2: cacheDir: has to be none or an absolute path'],
  ['ocirAuthMethod: PASSWORD', ':1: ocirAuthMethod: has to be one of INSTANCE_PRINCIPAL, '],
  ['tokenValidation: perhaps', ':1: tokenValidation: has to be enabled or disabled'],
  ['registryProtocol: ftp', ':1: registryProtocol: has to be https or http'],
  ['connector: { address: "https://a" }', ':1: connector.address: has to be host:port'],
  ['oracle: { vaultUrl: here }', ':1: oracle.vaultUrl: has to be a URL'],
  ['imagePullSecrets:\n- secretType: VAULT\n  registryEndpoint: a.io\n', ':2: imagePullSecrets[0].secretId: is needed'],
  [
    'imagePullSecrets:\n- secretType: SECRET\n  registryEndpoint: a.io\n  secretRef: { name: x }\n',
    ':2: imagePullSecrets[0].secretType: SECRET is for connectors in a cluster',
  ],
  [
    'imagePullSecrets:\n- secretType: BASIC\n  registryEndpoint: a.io\n  username: YQ==\n  password: "%"\n',
    ':5: imagePullSecrets[0].password: is not the base64',
  ],
  ['a: 1\n---\nb: 1\n', ':2: a second document'],
  ['- a', ':1: '],
])('%j is refused with file and line: %s', (text, expected) => {
  expect(problemsOf(text)[0]).toContain(`${file}${expected}`);
});

test('no problem quotes a value', () => {
  const canary = 'c4n4ry';
  const texts = [
    `imagePullSecrets:\n- { secretType: BASIC, registryEndpoint: a.io, username: YQ==, password: "${canary} ${canary}" }`,
    `imagePullSecrets:\n- { secretType: BASIC, registryEndpoint: a.io, username: YQ==, password: [${canary}] }`,
    `timeout: ${canary}`,
    `log: ${canary}`,
    `a: "${canary}`,
    `a: *${canary}`,
  ];
  for (const text of texts) {
    expect(problemsOf(text)).not.toHaveLength(0);
    expect(problemsOf(text).join()).not.toContain(canary);
  }
});

test("fields that Oracle's provider passes over are passed over with a remark", () => {
  expect(settingsOf('apiVersion: v1\nkind: Config\nverifyTokenAuth: "false"\n').remarks).toEqual([
    expect.stringContaining('apiVersion'),
    expect.stringContaining('kind'),
    expect.stringContaining('verifyTokenAuth'),
  ]);
});

test("the environment variables of Oracle's provider are read where there is no file", () => {
  const environment = {
    REGISTRY_TOKEN_PATH: '/20180419/docker/token',
    DEFAULT_USER: 'SOMEBODY',
    REGISTRY_PROTOCOL: 'http',
    OCIR_AUTH_METHOD: 'USER_PRINCIPAL',
    TOKEN_VALIDATION: 'enabled',
    VERIFY_TOKEN_AUTH: 'false',
  };
  expect(readEnvironment(environment)).toMatchObject({
    ok: true,
    settings: { principal: { auth: 'user', username: 'SOMEBODY', registryProtocol: 'http', isTokenValidated: true } },
  });
  expect(readEnvironment({ DEFAULT_USER: '' })).toMatchObject({
    ok: true,
    settings: { principal: { auth: 'instance', username: 'BEARER_TOKEN' } },
  });
  expect(readEnvironment({ OCIR_AUTH_METHOD: 'x' })).toEqual({
    ok: false,
    problems: [expect.stringMatching(/^OCIR_AUTH_METHOD has to be one of /)],
  });
});
