import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { openInterception } from '../../../certs/interception.ts';
import { connectorApiVersion, type Document } from '../../../connectors/schema.ts';
import { parseCallers } from '../../../proxy/callers-file.ts';
import type { TunnelsOptions } from '../../../proxy/tunnels.ts';
import { authorityMemory } from '../../certs/text-memory.ts';
import { makeSelfSigned } from '../../support/certificate.ts';
import { type Image, makeImage } from '../../support/image.ts';
import { connectorTo, type StartProxyOptions, startProxy } from '../../support/proxy.ts';
import { type Registry, type RegistryOptions, startRegistry } from '../../support/registry.ts';
import { type BlobStorage, startStorage } from '../../support/storage.ts';

export const login = { username: 'robot', password: 'Password+Canary/7f=3a%b"c\\d' };
export const tokens = {
  /** May pull and push through demo/registry and demo/team. */
  member: 'Member+Canary/4c=8b%6a~',
  /** May pull through demo/other. */
  neighbour: 'Neighbour+Canary/9e=2d%1f~',
  /** Nobody's. */
  stranger: 'Stranger+Canary/1a=2b%3c~',
};
const callers = parseCallers(
  JSON.stringify({
    callers: [
      {
        name: 'member',
        token: tokens.member,
        connectors: ['demo/registry', 'demo/team', 'demo/plain', 'demo/gone'],
        actions: ['pull', 'push', 'delete'],
      },
      { name: 'neighbour', token: tokens.neighbour, connectors: ['demo/other'] },
    ],
  }),
  'callers.json',
);

/** Every name is at 127.0.0.1, so that the names of the scene are the proxy's to know and nobody else's. */
const resolve = async () => [{ address: '127.0.0.1', family: 4 }];

export interface ForwardSceneOptions {
  readonly registry?: RegistryOptions;
  readonly tunnels?: TunnelsOptions;
  readonly documents?: readonly Document[];
  readonly proxy?: Partial<StartProxyOptions>;
  /** Value of the class's annotation. */
  readonly tunnelHosts?: string;
}

/** Registries behind TLS with names of their own, and a forward proxy before them; what is opened closes with the test. */
export async function openForwardScene(options: ForwardSceneOptions = {}) {
  const tls = makeSelfSigned(['registry.test', 'storage.test', 'other.test']);
  const storage: BlobStorage = await startStorage({ tls, hostname: 'storage.test' });
  onTestFinished(() => storage.close());
  const start = async (hostname: string, more: RegistryOptions): Promise<Registry> => {
    const registry = await startRegistry({ hostname, auth: { kind: 'token', ...login }, ...more });
    onTestFinished(() => registry.close());
    return registry;
  };
  const registry = await start('registry.test', { tls, redirectBlobs: storage.publish, ...options.registry });
  const other = await start('other.test', { tls });
  const plain = await start('plain.test', {});
  const image: Image = makeImage();
  for (const each of [registry, other, plain]) each.seed('team/app', image, ['v1']);
  const documents = [
    ...connectorTo(registry.origin, { ...login, ca: tls.cert }),
    ...connectorTo(`${registry.origin}/team`, { ...login, ca: tls.cert, key: 'demo/team' }),
    ...connectorTo(other.origin, { ...login, ca: tls.cert, key: 'demo/other' }),
    ...connectorTo(plain.origin, { ...login, key: 'demo/plain' }),
    ...(options.tunnelHosts === undefined ? [] : [classWith(options.tunnelHosts)]),
    ...(options.documents ?? []),
  ];
  const interception = await openInterception({ store: authorityMemory(), onError: () => {} });
  onTestFinished(() => interception.close());
  const proxy = await startProxy({
    documents,
    callers,
    transports: { resolve },
    forwardProxy: { certificates: interception, tunnels: { resolve, ...options.tunnels } },
    ...options.proxy,
  });
  onTestFinished(() => proxy.close());
  return { registry, other, plain, storage, image, proxy, ca: interception.caBundle, interception };
}

/** Class `oci` with hosts that may be tunnelled to. */
const classWith = (tunnelHosts: string): Document => ({
  apiVersion: connectorApiVersion,
  kind: 'ConnectorClass',
  metadata: { name: 'oci', annotations: { 'connectors.cpaas.io/tunnel-hosts': tunnelHosts } },
  spec: { auth: { types: [{ name: 'tokenAuth', optional: true }] } },
});

export const proxyBasic = (user: string, token: string): string => `Basic ${btoa(`${user}:${token}`)}`;

export interface ConnectOptions {
  readonly user?: string;
  readonly token?: string;
  /** Replaces the whole value; undefined for none. */
  readonly authorization?: string | undefined;
  /** Sent with the CONNECT, in one piece. */
  readonly head?: string;
}

/** A CONNECT and its answer. */
export interface Connected {
  readonly socket: Socket;
  readonly status: number;
  /** Status line and headers. */
  readonly answer: string;
}

/** Sends a CONNECT for `target` and reads the head of the answer. */
export async function connectThrough(port: number, target: string, options: ConnectOptions = {}): Promise<Connected> {
  const { user = 'demo/registry', token = tokens.member, head = '' } = options;
  const authorization = 'authorization' in options ? options.authorization : proxyBasic(user, token);
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const line = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${line}\r\n${head}`, 'latin1');
  const answer = await readHead(socket);
  return { socket, answer, status: Number(answer.slice(9, 12)) };
}

/** Reads up to the empty line, and leaves the rest. */
export async function readHead(socket: Socket): Promise<string> {
  let text = '';
  while (!text.includes('\r\n\r\n')) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) return text;
      await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
      continue;
    }
    text += chunk.toString('latin1');
  }
  const end = text.indexOf('\r\n\r\n') + 4;
  if (text.length > end) socket.unshift(Buffer.from(text.slice(end), 'latin1'));
  return text.slice(0, end);
}

/** Begins TLS in a tunnel, trusting only `ca`. */
export async function secure(socket: Socket, servername: string, ca: string): Promise<TLSSocket> {
  const tls = connectTls({ socket, servername, ca, ALPNProtocols: ['h2', 'http/1.1'] });
  onTestFinished(() => void tls.destroy());
  await once(tls, 'secureConnect');
  return tls;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

/** One request on a connection that is there; the connection is kept for another. */
export async function ask(socket: Socket, host: string, path: string, options: AskOptions = {}) {
  const { method = 'GET', headers = {}, body } = options;
  const request = httpRequest({
    createConnection: () => socket,
    method,
    path,
    headers: { host, connection: 'keep-alive', ...headers },
  });
  request.end(body);
  const [response]: [IncomingMessage] = (await once(request, 'response')) as [IncomingMessage];
  const chunks = Buffer.concat(await response.toArray());
  return { status: response.statusCode, headers: response.headers, body: chunks };
}

export const reasonOf = (body: Buffer): string => JSON.parse(body.toString()).errors[0].detail.reason;
