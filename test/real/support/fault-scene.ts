import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call } from '../../support/call.ts';
import { type Image, makeImage } from '../../support/image.ts';
import { connectorTo } from '../../support/proxy.ts';
import { type ClientHome, makeClientHome } from './clients.ts';
import { type RealRegistry, startRegistry } from './distribution.ts';
import { type FaultInjector, type FaultTarget, startFaultInjector } from './fault-injector.ts';
import { FaultPlan, type FaultPlanOptions, randomOf } from './fault-plan.ts';
import { type FaultProduct, startFaultProduct } from './fault-product.ts';
import { type RegistryApi, registryApi } from './registry-api.ts';
import { pushContent } from './seed.ts';
import { type Credential, startTokenIssuer, type TokenIssuer } from './token-issuer.ts';

const credential: Credential = { username: 'robot', password: 'canary/of the registry:credential' };

/** Connectors to one registry, which count apart what the registry limits. `moved/…` is stored on another host. */
export const faultConnectors = ['direct-0', 'direct-1', 'follow-0', 'follow-1'] as const;

export type FaultConnector = (typeof faultConnectors)[number];

/** The part of the registry that the repositories of a connector are in. */
export const folderOf = (connector: FaultConnector): 'moved' | 'plain' =>
  connector.startsWith('follow') ? 'moved' : 'plain';

/** A registry, its token issuer and its storage behind fault injectors, and the product before them. */
export interface FaultScene {
  readonly product: FaultProduct;
  readonly plan: FaultPlan;
  /** The registry itself, asked without faults. */
  readonly stored: RegistryApi;
  readonly client: ClientHome;
  /** In `plain/seeded` and `moved/seeded`, the tags being `v0`, `v1`, … */
  readonly seeded: readonly Image[];
  /** Ends what the product keeps open towards the registry without using it. */
  closeIdle(): void;
  close(): Promise<void>;
}

export interface FaultSceneOptions extends FaultPlanOptions {
  readonly images: number;
}

export async function openFaultScene(options: FaultSceneOptions): Promise<FaultScene> {
  await using parts = new AsyncDisposableStack();
  const plan = new FaultPlan(options);
  const folder = await mkdtemp(join(tmpdir(), 'faults-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const issuer = await startTokenIssuer({ credential });
  parts.defer(() => issuer.close());
  // Who asks for a token goes through the injector as well, and the injector has to be there before the registry.
  let registry: RealRegistry | undefined;
  const registryOrigin = () => registry?.origin ?? '';
  const storage = parts.use(disposable(await startStorage(plan, issuer, registryOrigin)));
  const injector = parts.use(disposable(await startRegistryInjector(plan, issuer, storage, registryOrigin)));
  const realm = `http://localhost:${injector.port}/token`;
  registry = await startRegistry('registry', { access: { issuer: { ...issuer, realm } } });
  parts.defer(() => registry?.stop() ?? Promise.resolve());

  const client = await makeClientHome();
  parts.defer(() => client.close());
  const seeded = await seedImages(client, registry, options);
  const product = await startFaultProduct({
    manifests: await writeManifests(folder, injector.origin),
    certs: join(folder, 'certs'),
  });
  parts.defer(() => product.close());
  const stored = registryApi(registry, issuer, credential);
  plan.begin();
  const opened = parts.move();
  return {
    product,
    plan,
    stored,
    client,
    seeded,
    closeIdle: () => {
      injector.closeIdle();
      storage.closeIdle();
    },
    close: () => opened.disposeAsync(),
  };
}

const disposable = (injector: FaultInjector) =>
  Object.assign(injector, { [Symbol.asyncDispose]: () => injector.close() });

const blobPath = /^\/v2\/(?<repository>moved\/.+)\/blobs\/(?<digest>sha256:[0-9a-f]+)$/;

/** The registry as the product sees it; what it has in `moved/` is fetched elsewhere. */
function startRegistryInjector(
  plan: FaultPlan,
  issuer: TokenIssuer,
  storage: FaultInjector,
  registryOrigin: () => string,
): Promise<FaultInjector> {
  const target = async ({ url = '/', method, headers }: IncomingMessage): Promise<FaultTarget> => {
    if (url.startsWith('/token?')) return { origin: new URL(issuer.realm).origin, path: url };
    const isMoved = method === 'GET' && blobPath.test(url);
    if (!isMoved) return { origin: registryOrigin(), path: url };
    const { authorization } = headers;
    const found = await call(`${registryOrigin()}${url}`, {
      method: 'HEAD',
      headers: authorization === undefined ? {} : { authorization },
    });
    if (found.status !== 200) return { origin: registryOrigin(), path: url };
    return { status: 307, headers: { location: `${storage.origin}${url}?signature=1`, 'content-length': '0' } };
  };
  return startFaultInjector({ name: 'registry', plan, target });
}

/** A storage host that takes no authorization but the one in its addresses. */
function startStorage(plan: FaultPlan, issuer: TokenIssuer, registryOrigin: () => string): Promise<FaultInjector> {
  const target = async ({ url = '/', headers }: IncomingMessage): Promise<FaultTarget> => {
    const { pathname, search } = new URL(url, 'http://localhost');
    const repository = blobPath.exec(pathname)?.groups?.['repository'];
    const isAllowed = repository !== undefined && search === '?signature=1' && headers.authorization === undefined;
    if (!isAllowed) return { status: 400, headers: { 'content-length': '0' } };
    const origin = registryOrigin();
    const authorized = await registryApi({ origin } as RealRegistry, issuer, credential).authorize(repository);
    return { origin, path: pathname, headers: authorized };
  };
  return startFaultInjector({ name: 'storage', plan, target });
}

async function writeManifests(folder: string, address: string): Promise<string> {
  const manifests = join(folder, 'manifests');
  await mkdir(manifests);
  for (const name of faultConnectors) {
    const redirect = name.startsWith('follow') ? { redirect: 'follow' } : {};
    const documents = connectorTo(address, { ...credential, ...redirect, key: `demo/${name}` });
    // JSON is YAML.
    await writeFile(join(manifests, `${name}.yaml`), documents.map((each) => JSON.stringify(each)).join('\n---\n'));
  }
  return manifests;
}

async function seedImages(client: ClientHome, registry: RealRegistry, options: FaultSceneOptions): Promise<Image[]> {
  await client.logIn({ [registry.host]: credential });
  const images = Array.from({ length: options.images }, (_, index) => faultImage(`${options.seed}/seeded/${index}`));
  for (const [index, image] of images.entries()) {
    for (const folder of ['plain', 'moved']) {
      await pushContent(client, image, `${registry.host}/${folder}/seeded:v${index}`);
    }
  }
  return images;
}

const smallestLog = 10;
const largestLog = 23;

/** An image of one to four layers of 1 KiB to 8 MiB; small ones are as frequent as large ones. */
export function faultImage(seed: string): Image {
  const random = randomOf(seed);
  const size = () => Math.floor(2 ** (smallestLog + random() * (largestLog - smallestLog)));
  const lower = Math.floor(random() * 4);
  const files = [{ path: 'top.bin', bytes: Buffer.alloc(size(), seed) }];
  return makeImage({ layers: lower, layerBytes: size(), seed, files, compression: 'none' });
}
