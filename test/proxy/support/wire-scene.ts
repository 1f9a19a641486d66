import { connect } from 'node:net';
import { onTestFinished } from 'vitest';
import { ephemeralSealingKeys } from '../../../platform/sealing-keys.ts';
import { parseCallers } from '../../../proxy/callers-file.ts';
import { connectorTo, type StartProxyOptions, startProxy } from '../../support/proxy.ts';
import { startWireRegistry, valuesOf, type WireRegistryOptions } from './wire-registry.ts';

export const login = { username: 'robot', password: 'Canary-of-the-password' };
export const tokens = { pusher: 'Canary-of-the-pusher', puller: 'Canary-of-the-puller' };
const callers = parseCallers(
  JSON.stringify({
    callers: [
      { name: 'pusher', token: tokens.pusher, connectors: ['demo/registry'], actions: ['pull', 'push', 'delete'] },
      { name: 'puller', token: tokens.puller, connectors: ['demo/registry'] },
    ],
  }),
  'callers.json',
);
const basicOf = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
export const ours = basicOf(login.username, login.password);

export const base = '/v2/namespaces/demo/connectors/registry/team/app';
export const manifest = `${base}/manifests/v1`;
/** Lines of a head, with the empty one behind them. */
export const lines = (...text: string[]): string => `${text.join('\r\n')}\r\n\r\n`;
export const as = (caller: keyof typeof tokens): string => `Authorization: ${basicOf('x', tokens[caller])}`;
/** A request of a caller who may do everything. */
export const ask = (line: string, ...headers: string[]): string =>
  lines(`${line} HTTP/1.1`, 'Host: localhost', as('pusher'), ...headers);
/** A request behind which the connection ends. */
export const last = ask(`GET ${base}/tags/list`, 'Connection: close');
export const lastLine = 'GET /v2/team/app/tags/list';
/** What nobody has asked for. */
export const smuggled = ask(`DELETE ${manifest}`);

export const statusesOf = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)).filter((status) => status >= 200);

/** Two registries that remember every byte, and a proxy before them whose callers may use the first. */
export async function openWireScene(options: WireRegistryOptions = {}, more: Partial<StartProxyOptions> = {}) {
  const stack = new AsyncDisposableStack();
  onTestFinished(() => stack.disposeAsync());
  const registry = stack.use(await startWireRegistry(options));
  const other = stack.use(await startWireRegistry());
  const proxy = stack.use(
    await startProxy({
      documents: [
        ...connectorTo(registry.origin, login),
        ...connectorTo(other.origin, { ...login, key: 'demo/other' }),
      ],
      callers,
      sealing: ephemeralSealingKeys(),
      ...more,
    }),
  );
  /** What comes back until the connection ends, however it ends. */
  const exchange = async (bytes: string): Promise<string> => {
    const socket = connect(proxy.port, '127.0.0.1');
    let answer = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', () => resolve());
    socket.write(bytes, 'latin1');
    await promise;
    return answer;
  };
  /** What must be so whatever was sent: the registry's parser has seen whole requests only, with our credential alone. */
  const wrongs = (): string[] => [
    ...registry.violations,
    ...other.requests.map(({ target }) => `another registry: ${target}`),
    ...registry.requests
      .filter((request) => valuesOf(request, 'authorization').some((value) => value !== ours))
      .map(({ target }) => `another credential: ${target}`),
    ...registry.requests
      .filter((request) => valuesOf(request, 'authorization').length !== 1)
      .map(({ target }) => `not one credential: ${target}`),
    ...Object.values(tokens)
      .filter((token) =>
        [token, Buffer.from(`x:${token}`).toString('base64')].some((text) => registry.bytes().includes(text)),
      )
      .map((token) => `a caller’s token: ${token}`),
  ];
  return { registry, other, proxy, exchange, wrongs };
}
