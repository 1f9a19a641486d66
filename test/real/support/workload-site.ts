/**
 * What stands around the pods of a test, as a program in a network namespace of its own: a private registry
 * `https://harbor.example.com` with token authentication, and the product, the only one that has its credential.
 * Arguments: `SiteSettings` in JSON, and an empty folder. Says `{"ready": SiteReady}`, then `{"pushed": …}` for each
 * tag, and `{"leak": …}` for a request to the registry with a caller's token, a line each.
 */
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import type { Document } from '../../../connectors/schema.ts';
import { startStandalone } from '../../support/command.ts';
import { makeImage } from '../../support/image.ts';
import { connectorTo } from '../../support/proxy.ts';
import { makeSelfSigned, type SelfSigned } from './certificate.ts';
import { makeClientHome } from './clients.ts';
import { startRegistry } from './distribution.ts';
import { pushContent } from './seed.ts';
import { type Credential, startTokenIssuer } from './token-issuer.ts';

export interface SiteSettings {
  /** Of the registry. */
  readonly credential: Credential;
  /** Of the pods, which may pull and push. */
  readonly token: string;
}

export interface SiteReady {
  /** What clients trust that meet the product by HTTPS, PEM. */
  readonly caBundle: string;
  /** Those that the product reads. */
  readonly documents: readonly Document[];
}

export const registryHost = 'harbor.example.com';
export const proxyHost = 'c-harbor.demo.svc.cluster.local';
/** Not of 127.0.0.0/8: docker would ask for no certificate there. */
export const addresses = { httpAndHttps: '192.0.2.1', httpsOnly: '192.0.2.2', registry: '127.0.0.2' } as const;

const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'demo', labels: { 'connectors.cpaas.io/proxy-inject': 'true' } },
} as const;

async function startSite({ credential, token }: SiteSettings, folder: string): Promise<SiteReady> {
  const issuer = await startTokenIssuer({ credential });
  const realm = `https://${registryHost}/token`;
  const registry = await startRegistry('registry', { access: { issuer: { ...issuer, realm } } });
  const certificate = await makeSelfSigned([registryHost]);
  await startFrontend({ certificate, token, registry: registry.origin, issuer: new URL(issuer.realm).origin });
  const documents = [
    namespace,
    ...connectorTo(`https://${registryHost}`, { ...credential, key: 'demo/harbor', ca: certificate.certificatePem }),
  ];
  const caBundle = await startProduct(documents, token, folder);
  await seed(token);
  return { caBundle, documents };
}

/** What stands before a registry and its issuer in the world: one name, one certificate. */
async function startFrontend(options: { certificate: SelfSigned; token: string; registry: string; issuer: string }) {
  const { certificate, token, registry, issuer } = options;
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { url = '/', method = 'GET', headers } = incoming;
    if (knows(headers.authorization, token)) say({ leak: url });
    const upstream = request(new URL(url, url.startsWith('/token') ? issuer : registry), {
      method,
      headers: { ...headers, 'x-forwarded-proto': 'https' },
    });
    upstream.on('response', (response) => {
      const [, repository, tag] = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(url) ?? [];
      if (method === 'PUT' && response.statusCode === 201 && isTag(tag)) say({ pushed: `${repository}:${tag}` });
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      pipeline(response, outgoing, () => {});
    });
    pipeline(incoming, upstream, () => {});
  };
  const server = createServer({ cert: certificate.certificatePem, key: certificate.keyPem }, answer);
  server.listen(443, addresses.registry);
  await once(server, 'listening');
}

/** Digests are not, nor are tags that stand for one. */
const isTag = (reference = ''): boolean => reference !== '' && !reference.startsWith('sha256');

const knows = (authorization: string | undefined, token: string): boolean =>
  [authorization ?? '', Buffer.from(authorization?.split(' ')[1] ?? '', 'base64').toString()].some((text) =>
    text.includes(token),
  );

async function startProduct(documents: readonly Document[], token: string, folder: string): Promise<string> {
  const certs = join(folder, 'certs');
  const callers = join(folder, 'callers.json');
  const manifests = join(folder, 'manifests');
  await mkdir(manifests);
  await writeFile(join(manifests, 'demo.yaml'), documents.map((document) => JSON.stringify(document)).join('\n---\n'));
  const builder = { name: 'builder', token, connectors: ['demo/*'], actions: ['pull', 'push'] };
  await writeFile(callers, JSON.stringify({ callers: [builder] }));
  const { httpAndHttps, httpsOnly } = addresses;
  const listeners = ['--proxy', `${httpAndHttps}:80`, '--proxy-https', `${httpsOnly}:443`];
  await startStandalone(['--manifests', manifests, '--certs', certs, '--callers', callers, ...listeners]);
  const forwarder = createTcpServer((client) => {
    const upstream = connect(443, httpsOnly);
    pipeline(client, upstream, client, () => {});
  });
  forwarder.listen(443, httpAndHttps);
  await once(forwarder, 'listening');
  return readFile(join(certs, 'interception-ca.crt'), 'utf8');
}

async function seed(token: string): Promise<void> {
  const client = await makeClientHome();
  await client.logIn({ [proxyHost]: { username: 'token', password: token } });
  await pushContent(client, makeImage({ seed: 'base' }), `${proxyHost}/team/base:v1`, ['--insecure']);
}

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

if (import.meta.main) {
  const [settings = '', folder = ''] = process.argv.slice(2);
  say({ ready: await startSite(JSON.parse(settings), folder) });
}
