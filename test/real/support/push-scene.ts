import { join } from 'node:path';
import { basic } from '../../support/call.ts';
import { type Folder, makeFolder, type RunningStandalone, startStandalone } from '../../support/command.ts';
import { manifestsOf } from '../../support/manifests.ts';
import { type ClientHome, makeClientHome } from './clients.ts';
import { type RealRegistry, type RegistryPart, startRegistry } from './distribution.ts';
import { type RegistryApi, registryApi } from './registry-api.ts';
import { openTap } from './tap.ts';
import { type Credential, startTokenIssuer, type TokenIssuer } from './token-issuer.ts';

const credential: Credential = { username: 'robot', password: 'canary/of the registry:credential' };
const builder: Credential = { username: 'builder', password: 'token-of-a-builder-in-demo' };

/** May pull only. */
export const reader: Credential = { username: 'reader', password: 'token-of-a-reader-in-demo' };

/** How a client names a repository of ours. */
export const addressForms = ['path form', 'host form'] as const;

export type AddressForm = (typeof addressForms)[number];

/** A private registry, the product before it, and clients that hold no credential of that registry. */
export interface PushScene {
  readonly registry: RealRegistry;
  /** The registry itself, asked directly. */
  readonly stored: RegistryApi;
  /** What clients log in with; undefined where everybody on this machine may call. */
  readonly caller: Credential | undefined;
  /** What a client that is logged in sends with each request. */
  readonly callerHeaders: { readonly authorization?: string };
  /** Host and port in an address of this form. */
  host(form: AddressForm): string;
  /** The image `team/app:v1` as clients name it. */
  image(form: AddressForm, name: string): string;
  /** A client that knows our host names, and is logged in as `as`, by default as `caller`; it ends with the scene. */
  makeClient(options?: { readonly isRoot?: boolean; readonly as?: Credential | 'nobody' }): Promise<ClientHome>;
  /** What the clients were told and should not: the credential, a token made of it, addresses of registry and issuer. */
  leaks(): readonly string[];
  close(): Promise<void>;
}

const connectorHost = 'c-harbor.demo.svc.cluster.local';

/** Release 3 is behind a product that lets everybody on this machine in, 2.8 behind one that asks for a caller's token. */
export async function openPushScene(part: RegistryPart): Promise<PushScene> {
  await using parts = new AsyncDisposableStack();
  const issuer = await startTokenIssuer({ credential });
  parts.defer(() => issuer.close());
  const registry = await startRegistry(part, { access: { issuer }, isDeleteEnabled: true });
  parts.defer(() => registry.stop());
  const stored = registryApi(registry, issuer, credential);
  const folder = parts.use(await makeFolder());
  const caller = part === 'registry' ? undefined : builder;
  const product = parts.use(await startProduct(folder, registry, caller));
  const tap = await openTap(portOf(product.proxy), await secretsOf(registry, issuer, stored));
  parts.defer(() => tap.close());
  const host = (form: AddressForm) => `${form === 'path form' ? '127.0.0.1' : connectorHost}:${tap.port}`;
  const opened = parts.move();
  return {
    registry,
    stored,
    caller,
    callerHeaders: caller === undefined ? {} : basic(caller.username, caller.password),
    host,
    image: (form, name) => `${host(form)}/${form === 'path form' ? 'namespaces/demo/connectors/harbor/' : ''}${name}`,
    makeClient: async ({ as = caller, ...options } = {}) => {
      const home = await makeClientHome({ ...options, loopbackNames: [connectorHost] });
      opened.defer(() => home.close());
      const logins = as === undefined || as === 'nobody' ? [] : addressForms.map((form) => [host(form), as]);
      // buildah and podman refuse to start where the environment names a file that is not there.
      await home.logIn(Object.fromEntries(logins));
      return home;
    },
    leaks: () => [...tap.heard],
    close: () => opened.disposeAsync(),
  };
}

async function startProduct(
  folder: Folder,
  registry: RealRegistry,
  caller: Credential | undefined,
): Promise<RunningStandalone> {
  await folder.write('connector.yaml', manifestsOf(registry.origin, credential.username, credential.password));
  const args = ['--manifests', folder.path, '--certs', join(folder.path, 'certs')];
  if (caller === undefined) return startStandalone(args);
  const callers = [knownCaller(caller, 'pull', 'push', 'delete'), knownCaller(reader, 'pull')];
  return startStandalone([...args, '--callers', await folder.write('callers', JSON.stringify({ callers }))]);
}

const knownCaller = ({ username, password }: Credential, ...actions: readonly string[]) => ({
  name: username,
  token: password,
  connectors: ['demo/*'],
  actions,
});

/** All that a client must never hear. */
async function secretsOf(registry: RealRegistry, issuer: TokenIssuer, stored: RegistryApi): Promise<string[]> {
  const { authorization } = await stored.authorize();
  return [
    credential.password,
    Buffer.from(`${credential.username}:${credential.password}`).toString('base64'),
    // The header is the same in every token of this issuer.
    authorization.slice('Bearer '.length).split('.')[0] ?? '',
    registry.host,
    new URL(issuer.realm).host,
  ];
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1));
