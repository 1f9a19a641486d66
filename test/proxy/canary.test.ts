import { describe, expect, onTestFinished, test } from 'vitest';
import { secretTypes } from '../../connectors/schema.ts';
import { parseCallers } from '../../proxy/callers-file.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { type ConnectorOptions, connectorTo } from '../support/proxy.ts';
import { bytesAnswer } from '../support/registry/answer.ts';
import { type RegistryAuth, type RegistryOptions, startRegistry } from '../support/registry.ts';
import { type CanaryProxyOptions, findSecrets, startCanaryProxy } from './support/canary.ts';

const username = 'robot';
/** Their characters make every encoding another text. */
const secrets = {
  password: 'Password+Canary/7f=3a%b"c\\d',
  grant: 'Grant+Canary/9e=2d%1f~',
  caller: 'Caller+Canary/4c=8b%6a~',
  stranger: 'Stranger+Canary/1a=2b%3c~',
  environment: 'Environment+Canary~5d',
};
const token: RegistryAuth = { kind: 'token', username, password: secrets.password, makeToken: () => secrets.grant };
const basic: RegistryAuth = { kind: 'basic', username, password: secrets.password };

const callers = parseCallers(
  JSON.stringify({ callers: [{ name: 'ci', token: secrets.caller, connectors: ['*'] }] }),
  'callers.json',
);

/** All that a server could repeat of a request's Authorization, in all the ways. */
function echoesOf(authorization = ''): string[] {
  const value = authorization.replace(/^\S+ /, '');
  const decoded = Buffer.from(value, 'base64').toString();
  const texts = authorization.startsWith('Basic') ? [value, decoded, decoded.slice(decoded.indexOf(':') + 1)] : [value];
  return [
    authorization,
    ...texts.flatMap((text) => [text, btoa(text), encodeURIComponent(text), Buffer.from(text).toString('hex')]),
  ];
}

/** A server that shows the request's Authorization in its errors, which some do for debugging. */
const echoing = (status: number, shape: (echoes: string[]) => string): faults.Fault => ({
  name: `echoing(${status})`,
  inflict: async (_answer, { headers }) => {
    const echoes = echoesOf(headers.authorization);
    return bytesAnswer(status, { 'content-type': 'application/json', 'x-debug': echoes }, shape(echoes));
  },
});

const shapes: readonly ((echoes: string[]) => string)[] = [
  (echoes) =>
    JSON.stringify({ errors: echoes.map((message) => ({ code: message, message, detail: message })).slice(0, 2) }),
  ...Array.from(
    { length: 16 },
    (_, at) => (echoes: string[]) => JSON.stringify({ errors: [{ code: 'DENIED', message: echoes[at] }] }),
  ),
  (echoes) => JSON.stringify({ error: echoes[2], error_description: echoes.join(' ') }),
  (echoes) => `<pre>${echoes.join('\n')}</pre>`,
];

const content = { path: /^\/v2\/team\//, isAuthorized: true };
const gets = { ...content, method: 'GET' };
const tokenPath = { path: /^\/token$/ };
const everywhere = (status: number) => shapes.map((shape) => ({ times: 1, fault: echoing(status, shape) }));

interface Scene {
  readonly auth?: RegistryAuth;
  readonly registry?: RegistryOptions;
  readonly rules?: readonly faults.FaultRule[];
  readonly connector?: ConnectorOptions;
  readonly address?: string;
  readonly authorization?: string;
  readonly proxy?: Partial<CanaryProxyOptions>;
  readonly annotations?: Record<string, string>;
  /** How often everything is asked for. */
  readonly rounds?: number;
}

async function play(scene: Scene) {
  const registry = await startRegistry({ auth: scene.auth ?? token, ...scene.registry });
  const image = registry.seed('team/app', makeImage({ annotations: scene.annotations ?? {} }), ['v1']);
  for (const rule of scene.rules ?? []) registry.faults.add(rule);
  const login = { username, password: secrets.password };
  const canary = await startCanaryProxy({
    documents: connectorTo(scene.address ?? registry.origin, { ...login, ...scene.connector }),
    callers,
    ...scene.proxy,
  });
  onTestFinished(async () => {
    await canary.proxy.close();
    await registry.close();
  });
  const authorization = scene.authorization ?? `Bearer ${secrets.caller}`;
  const statuses = new Set<number>();
  for (let round = 0; round < (scene.rounds ?? 1); round += 1) {
    for (const [method, tail] of [
      ['GET', 'manifests/v1'],
      ['HEAD', 'manifests/v1'],
      ['GET', `blobs/${image.layers[0]}`],
    ] as const) {
      statuses.add(await canary.ask(canary.proxy.url(`team/app/${tail}`), { method, authorization }));
    }
  }
  await canary.proxy.operation(3);
  return { canary, statuses: [...statuses].sort() };
}

const failing = (status: number): readonly [string, Scene, number[]][] => [
  [
    `a registry that answers ${status} with the token in it`,
    { rules: everywhere(status).map((rule) => ({ match: gets, ...rule })), rounds: 10 },
    [],
  ],
  [
    `a registry that answers ${status} with the password in it`,
    { auth: basic, rules: everywhere(status).map((rule) => ({ match: gets, ...rule })), rounds: 10 },
    [],
  ],
  [
    `a token server that answers ${status} with the password in it`,
    { rules: everywhere(status).map((rule) => ({ match: tokenPath, ...rule })), rounds: 10 },
    [],
  ],
];

describe('no secret is in any log line, answer, metric or error', () => {
  test.each<readonly [string, Scene, number[]]>([
    ['pulls that go well', {}, [200]],
    ['pulls from a registry with Basic authentication', { auth: basic }, [200]],
    ...[400, 401, 403, 404, 429, 500].flatMap(failing),
    ['a credential that is refused', { auth: { ...token, password: 'another' } }, [403]],
    ['a Basic credential that is refused', { auth: { ...basic, password: 'another' } }, [403]],
    ['a token that is refused again and again', { auth: { ...token, grantAccess: () => [] } }, [403]],
    [
      'a token server that answers nonsense',
      { rules: [{ match: tokenPath, fault: echoing(200, shapes[0] ?? String) }] },
      [502],
    ],
    ['a token server that answers what is no HTTP', { rules: [{ match: tokenPath, fault: malformedEcho }] }, [502]],
    ['a registry that answers what is no HTTP', { rules: [{ match: content, fault: malformedEcho }] }, [502]],
    [
      'a registry that answers too many headers',
      { rules: [{ match: content, fault: faults.hugeHeaders(100_000) }] },
      [502],
    ],
    ['a registry that hangs up', { rules: [{ match: content, fault: faults.resetBeforeHeaders }] }, [502]],
    ['a registry that hangs up in the middle', { rules: [{ match: content, fault: faults.resetAfter(10) }] }, [200]],
    ['a registry that sends us in a circle', { rules: [{ match: content, fault: faults.redirectLoop }] }, [502]],
    [
      'a registry that sends us where we must not go',
      { rules: [{ match: content, fault: faults.redirectedTo('http://169.254.169.254/') }] },
      [502],
    ],
    [
      'a challenge that repeats the request',
      {
        auth: {
          ...token,
          grantAccess: () => [],
          challengeHeader: ({ realm }) => `Bearer realm="${realm}",error="${secrets.grant}"`,
        },
      },
      [403],
    ],
    [
      'a challenge that nobody knows',
      { auth: { ...basic, challengeHeader: `Negotiate ${btoa(secrets.password)}` } },
      [502],
    ],
    ['a realm that is none', { auth: { ...token, realm: `http://[${encodeURIComponent(secrets.password)}` } }, [502]],
    ['a registry with an unknown certificate', { registry: { tls: makeSelfSigned(), hostname: 'localhost' } }, [502]],
    ['a registry that is not there', { address: 'http://127.0.0.1:1' }, [502]],
    [
      'a proxy of the environment that is not there',
      {
        address: 'http://registry.example.com',
        proxy: { transports: { proxies: { httpProxy: `http://u:${secrets.environment}@127.0.0.1:1` } } },
      },
      [502],
    ],
    [
      'a proxy of the environment that is none',
      {
        address: 'http://registry.example.com',
        proxy: { transports: { proxies: { httpProxy: `socks://u:${secrets.environment}@127.0.0.1:1` } } },
      },
      [502],
    ],
    [
      'a connector with a Secret of the wrong type',
      { proxy: withSecret('Opaque', { password: secrets.password }) },
      [503],
    ],
    [
      'a connector with half a Secret',
      { proxy: withSecret(secretTypes.basicAuth, { passwort: secrets.password, password: '' }) },
      [503],
    ],
    [
      'a connector whose user name has a colon',
      { proxy: withSecret(secretTypes.basicAuth, { username: `a:${secrets.password}`, password: 'x' }) },
      [503],
    ],
    [
      'a connector with a broken docker configuration',
      { proxy: withSecret(secretTypes.dockerConfigJson, { '.dockerconfigjson': `{"auths": {"${secrets.password}` }) },
      [503],
    ],
    [
      'a connector with a docker configuration for another registry',
      {
        proxy: withSecret(secretTypes.dockerConfigJson, {
          '.dockerconfigjson': JSON.stringify({
            auths: { 'other.example.com': { auth: btoa(`a:${secrets.password}`) } },
          }),
        }),
      },
      [503],
    ],
    ['a connector whose CA is the password', { connector: { ca: secrets.password } }, [503]],
    ['a caller that is not known', { authorization: `Bearer ${secrets.stranger}` }, [401]],
    ['a caller that is not known, with Basic', { authorization: `Basic ${btoa(`x:${secrets.stranger}`)}` }, [401]],
    ['a caller with a strange Authorization', { authorization: `Digest ${secrets.stranger} ${secrets.caller}` }, [401]],
  ])('of %s', async (_what, scene, expected) => {
    const { canary, statuses } = await play(scene);
    expect(await canary.leaks(secrets)).toEqual([]);
    if (expected.length > 0) expect(statuses).toEqual(expected);
    expect(canary.logs.length).toBeGreaterThanOrEqual(3);
  });
});

/** Bytes that are no HTTP and hold what the request had. */
const malformedEcho: faults.Fault = {
  name: 'malformedEcho',
  inflict: async (_answer, { headers }) => ({
    raw: `HTTP/1.1 ${headers.authorization} no\r\n${echoesOf(headers.authorization).join('\r\n')}\r\n\r\n`,
    ending: 'close',
  }),
};

/** A connector whose Secret is not what it should be. */
function withSecret(type: string, stringData: Record<string, string>): Partial<CanaryProxyOptions> {
  const [connector, secret] = connectorTo('http://127.0.0.1:1', { username, password: 'x' });
  return {
    documents: [connector, { ...secret, type, stringData }] as CanaryProxyOptions['documents'] extends Iterable<infer D>
      ? D[]
      : never,
  };
}

describe('a secret would be found', () => {
  test.each(Object.values(secrets))('in any spelling, anywhere in a text: %s', (secret) => {
    const bytes = Buffer.from(secret);
    const spellings = [
      secret,
      JSON.stringify({ message: secret }),
      JSON.stringify({ body: JSON.stringify({ message: secret }) }),
      encodeURIComponent(secret),
      encodeURIComponent(secret).toLowerCase(),
      new URLSearchParams({ password: secret }).toString(),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      ...[0, 1, 2, 3, 4].flatMap((length) =>
        (['base64', 'base64url'] as const).map((encoding) =>
          Buffer.from(`${'u'.repeat(length)}${secret}:`).toString(encoding),
        ),
      ),
    ];
    for (const spelling of spellings) {
      expect(findSecrets(`before ${spelling} behind`, { it: secret })).not.toEqual([]);
    }
    expect(findSecrets('nothing of the kind', { it: secret })).toEqual([]);
  });

  test('in each of the places that are looked at', async () => {
    const { canary } = await play({ registry: { auth: token }, annotations: { note: secrets.password } });
    canary.log.trace({ note: { deep: [secrets.grant] } }, 'planted');
    canary.metrics.proxyErrors.inc({ connector: secrets.environment, code: '' });
    expect(await canary.leaks(secrets)).toEqual([
      'log: grant raw',
      'log: grant in JSON',
      'log: grant in JSON in JSON',
      'answer: password in JSON',
      'metrics: environment raw',
      'metrics: environment in JSON',
      'metrics: environment in JSON in JSON',
    ]);
  });

  test('in an error that nobody expected, and in the line that it makes', async () => {
    const identify = () => {
      throw new Error(`not ${secrets.caller}`);
    };
    const { canary, statuses } = await play({ proxy: { callers: { identify } } });
    expect(statuses).toEqual([500]);
    const found = (await canary.leaks(secrets)).filter((leak) => leak.endsWith('raw'));
    expect(found).toEqual(['log: caller raw', 'error: caller raw']);
  });
});
