import { onTestFinished } from 'vitest';
import type { Document } from '../../../connectors/schema.ts';
import { parseCallers } from '../../../proxy/callers-file.ts';
import type * as faults from '../../support/faults.ts';
import { makeImage } from '../../support/image.ts';
import { type ConnectorOptions, connectorTo } from '../../support/proxy.ts';
import { bytesAnswer } from '../../support/registry/answer.ts';
import {
  type BasicAuth,
  type RegistryAuth,
  type RegistryOptions,
  startRegistry,
  type TokenAuth,
} from '../../support/registry.ts';
import { type CanaryProxyOptions, startCanaryProxy } from './canary.ts';

const username = 'robot';
/** Their characters make every encoding another text. */
export const secrets = {
  password: 'Password+Canary/7f=3a%b"c\\d',
  grant: 'Grant+Canary/9e=2d%1f~',
  caller: 'Caller+Canary/4c=8b%6a~',
  stranger: 'Stranger+Canary/1a=2b%3c~',
  environment: 'Environment+Canary~5d',
};
export const token: TokenAuth = {
  kind: 'token',
  username,
  password: secrets.password,
  makeToken: () => secrets.grant,
};
export const basic: BasicAuth = { kind: 'basic', username, password: secrets.password };

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
export const echoing = (status: number, shape: (echoes: string[]) => string): faults.Fault => ({
  name: `echoing(${status})`,
  inflict: async (_answer, { headers }) => {
    const echoes = echoesOf(headers.authorization);
    return bytesAnswer(
      status,
      { 'content-type': 'application/json', 'x-debug': echoes, 'x-all': echoes.join(' ') },
      shape(echoes),
    );
  },
});

export const shapes: readonly ((echoes: string[]) => string)[] = [
  (echoes) =>
    JSON.stringify({ errors: echoes.map((message) => ({ code: message, message, detail: message })).slice(0, 2) }),
  ...Array.from(
    { length: 16 },
    (_, at) => (echoes: string[]) => JSON.stringify({ errors: [{ code: 'DENIED', message: echoes[at] }] }),
  ),
  (echoes) => JSON.stringify({ error: echoes[2], error_description: echoes.join(' ') }),
  (echoes) => `<pre>${echoes.join('\n')}</pre>`,
];

export const content = { path: /^\/v2\/team\//, isAuthorized: true };
const gets = { ...content, method: 'GET' };
export const tokenPath = { path: /^\/token$/ };
const everywhere = (status: number) => shapes.map((shape) => ({ times: 1, fault: echoing(status, shape) }));

/** The right answer under a head that has the request's Authorization in it. */
export const echoingHead: faults.Fault = {
  name: 'echoingHead',
  inflict: async (answer, { headers }) => {
    const right = await answer();
    const [authorization = '', value = ''] = echoesOf(headers.authorization);
    return {
      ...right,
      headers: { ...right.headers, 'x-debug': authorization, 'x-value': [value, 'harmless'], etag: value },
    };
  },
};

export const echoingRedirect: faults.Fault = {
  name: 'echoingRedirect',
  inflict: async (_answer, { headers }) => {
    const value = encodeURIComponent(echoesOf(headers.authorization)[1] ?? '');
    return bytesAnswer(307, { location: `https://storage.example.com/?token=${value}` }, '');
  },
};

/** Bytes that are no HTTP and hold what the request had. */
export const malformedEcho: faults.Fault = {
  name: 'malformedEcho',
  inflict: async (_answer, { headers }) => ({
    raw: `HTTP/1.1 ${headers.authorization} no\r\n${echoesOf(headers.authorization).join('\r\n')}\r\n\r\n`,
    ending: 'close',
  }),
};

/** A connector whose Secret is not what it should be. */
export function withSecret(type: string, stringData: Record<string, string>): Partial<CanaryProxyOptions> {
  const [connector, secret] = connectorTo('http://127.0.0.1:1', { username, password: 'x' });
  return { documents: [connector, { ...secret, type, stringData }] as Document[] };
}

/** What the canary proxy is made for, and what goes wrong with it. */
export interface Scene {
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

/** Pulls a manifest and a blob in a scene; returns all that was said, and the statuses. */
export async function play(scene: Scene) {
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

/** Servers that answer `status` with what they were sent. */
export const failing = (status: number): readonly [string, Scene, number[]][] => [
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
