import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Children, firstLine, until } from './children.ts';
import { startNginx } from './nginx.ts';
import { type Origin, repository } from './origin.ts';
import { accepts, freePort } from './port.ts';

/** A proxy that runs. */
export interface Peer {
  readonly name: string;
  readonly pid: number;
  /** Whoever else works for it. */
  readonly otherPids?: readonly number[];
  /** URL of the repository at this proxy. */
  readonly repositoryUrl: string;
  /** What callers of this proxy have to send. */
  readonly authorization?: string;
  stop(): Promise<void>;
}

/** Of the repository at the product, below `/v2/`. */
export const repositoryPath = `namespaces/bench/connectors/origin/${repository}`;

/** A peer as its starter knows it. */
type Started = Omit<Peer, 'name' | 'pid' | 'stop'> & { readonly child: ChildProcess };

export interface PeerContext {
  readonly children: Children;
  readonly origin: Origin;
  /** Temporary: configurations, logs, certificates. */
  readonly folder: string;
  /** Built Go programs. */
  readonly programs: string;
  /** Main file of the product. */
  readonly main: string;
  /** The same of another version, to be measured beside this one. */
  readonly besideMain?: string | undefined;
  /** Where the product writes CPU profiles when it ends; undefined for none. */
  readonly profiles: string | undefined;
}

/** A proxy that can be started. */
export interface PeerKind {
  readonly name: string;
  /** The version that the product is measured beside. */
  readonly isOther?: boolean;
  /** One of those that the data path was chosen from, or that take the product apart. */
  readonly isPrototype?: boolean;
  start(context: PeerContext): Promise<Started>;
}

/** Starts a proxy, and waits until it listens. */
export async function startPeer({ name, start }: PeerKind, context: PeerContext): Promise<Peer> {
  const { child, ...started } = await start(context);
  return { ...started, name, pid: child.pid ?? 0, stop: () => context.children.stop(child) };
}

export const nginxProxy = 'nginx proxy_pass';
/** What ratios are told against. */
export const reference = 'Go ReverseProxy';
/** The one that this is about. */
export const product = 'oci-connector';

export const peerKinds: readonly PeerKind[] = [
  { name: nginxProxy, start: startNginxProxy },
  { name: reference, start: startGoProxy },
  { name: product, start: (context) => startProduct(context, 'open', []) },
  { name: `${product}, callers file`, start: startWithCallers },
  {
    name: `${product} beside`,
    isOther: true,
    start: (context) => startProduct({ ...context, main: context.besideMain ?? context.main }, 'beside', []),
  },
  {
    name: `${product}, no audit lines`,
    isPrototype: true,
    start: (context) => startProduct(context, 'silent', ['--log-level', 'warn']),
  },
  {
    name: 'Node, bare dispatch',
    isPrototype: true,
    start: (context) => startNode(context, new URL('./peers/node-dispatch.ts', import.meta.url)),
  },
  {
    name: 'Node, fastify route',
    isPrototype: true,
    start: (context) => startNode(context, new URL('./peers/fastify-route.ts', import.meta.url)),
  },
];

/** Buffered, as it is by default; connections to the registry are kept, which it does not do by default. */
async function startNginxProxy({ children, origin, folder }: PeerContext): Promise<Started> {
  const authority = new URL(origin.url).host;
  // It looks for names in certificates, and not for addresses.
  const tls =
    origin.caFile === undefined
      ? ''
      : `proxy_ssl_verify on; proxy_ssl_trusted_certificate ${origin.caFile}; proxy_ssl_name localhost;`;
  const { child, port } = await startNginx(
    children,
    join(folder, 'nginx'),
    (listenPort) => `
  upstream origin { server ${authority}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${listenPort};
    location / {
      proxy_pass ${new URL(origin.url).protocol}//origin;
      proxy_http_version 1.1;
      client_max_body_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host ${authority};
      proxy_set_header Authorization "${origin.authorization}";
      ${tls}
    }
  }`,
  );
  return { child, repositoryUrl: `http://127.0.0.1:${port}/v2/${repository}` };
}

async function startGoProxy({ children, origin, programs }: PeerContext): Promise<Started> {
  const ca = origin.caFile === undefined ? [] : ['-ca', origin.caFile];
  const args = ['-origin', origin.url, '-authorization', origin.authorization, ...ca];
  const child = children.start(join(programs, 'go-proxy'), args);
  const url = await firstLine(child, 'go-proxy');
  return { child, repositoryUrl: `${url}/v2/${repository}` };
}

async function startNode({ children, origin }: PeerContext, program: URL): Promise<Started> {
  const child = children.start(process.execPath, [program.pathname, origin.url, origin.authorization], {
    environment: origin.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: origin.caFile },
  });
  const url = await firstLine(child, program.pathname);
  return { child, repositoryUrl: `${url}/v2/${repository}` };
}

async function startWithCallers(context: PeerContext): Promise<Started> {
  const token = 'a-token-of-the-benchmark';
  const file = join(context.folder, 'callers.json');
  writeFileSync(
    file,
    JSON.stringify({ callers: [{ name: 'bench', token, connectors: ['bench/*'], actions: ['pull', 'push'] }] }),
    {
      mode: 0o600,
    },
  );
  const peer = await startProduct(context, 'callers', ['--callers', file]);
  return { ...peer, authorization: `Basic ${Buffer.from(`any:${token}`).toString('base64')}` };
}

/** The real process as its users run it, with audit lines, which go to a file. */
async function startProduct(
  { children, origin, folder, main, profiles }: PeerContext,
  label: string,
  flags: readonly string[],
): Promise<Started> {
  const own = join(folder, label);
  mkdirSync(join(own, 'manifests'), { recursive: true });
  writeFileSync(join(own, 'manifests/connector.yaml'), manifests(origin));
  const port = await freePort();
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(profiles, label)}`];
  const folders = ['--manifests', join(own, 'manifests'), '--certs', join(own, 'certs')];
  const listeners = ['--proxy', `127.0.0.1:${port}`, '--webhook', '127.0.0.1:0', '--management', '127.0.0.1:0'];
  const child = children.start(
    process.execPath,
    [...profiling, main, 'standalone', ...folders, ...listeners, '--drain-seconds', '1', ...flags],
    { errorFile: join(own, 'log'), environment: { no_proxy: '127.0.0.1' } },
  );
  await until(child, product, () => accepts(port));
  return { child, repositoryUrl: `http://127.0.0.1:${port}/v2/${repositoryPath}` };
}

/** JSON is YAML: a connector with token authentication, as most registries want it. */
function manifests(origin: Origin): string {
  const namespace = 'bench';
  const ca = origin.caFile === undefined ? undefined : readFileSync(origin.caFile, 'utf8');
  const documents = [
    {
      apiVersion: 'connectors.alauda.io/v1alpha1',
      kind: 'Connector',
      metadata: { name: 'origin', namespace },
      spec: {
        connectorClassName: 'oci',
        address: origin.url,
        auth: { name: 'tokenAuth', secretRef: { name: 'credential' } },
        ...(ca && { caCertSecretRef: { name: 'ca' } }),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'credential', namespace },
      type: 'cpaas.io/distribution-registry-token',
      stringData: { username: 'bench', password: 'bench-password' },
    },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'ca', namespace }, stringData: { 'ca.crt': ca ?? '' } },
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}
