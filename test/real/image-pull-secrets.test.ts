import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Folder, makeFolder, type RunningStandalone, startStandalone } from '../support/command.ts';
import { makeImage } from '../support/image.ts';
import { type OracleCloud, startOracleCloud } from '../support/oracle/cloud.ts';
import { type ClientHome, makeClientHome } from './support/clients.ts';
import { type RealRegistry, type RegistryPart, registryParts, startRegistry } from './support/distribution.ts';
import { readOciLayout } from './support/oci-layout.ts';
import { requireParts } from './support/parts.ts';
import { pushContent } from './support/seed.ts';
import { startTokenIssuer, type TokenIssuer } from './support/token-issuer.ts';

const canary = (name: string) => `canary/of ${name}:password`;
const right = { username: 'third', password: canary('third') };
const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaathird';
const image = makeImage({ seed: 'image pull secrets' });
const digests = [image.digest, image.config, ...image.layers];
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** A registry whose tokens only the third account gets, one of Oracle's, and the product before both. */
interface Scene {
  readonly issuer: TokenIssuer;
  readonly registry: RealRegistry;
  readonly behind: RealRegistry;
  readonly cloud: OracleCloud;
  readonly folder: Folder;
  readonly client: ClientHome;
  readonly standalone: RunningStandalone;
}

async function openScene(part: RegistryPart): Promise<Scene> {
  const issuer = await startTokenIssuer({ credential: right });
  const [registry, behind] = await Promise.all([startRegistry(part, { access: { issuer } }), startRegistry(part)]);
  const administrator = await makeClientHome();
  await administrator.logIn({ [registry.host]: right });
  for (const { host } of [registry, behind]) await pushContent(administrator, image, `${host}/team/app:v1`);
  await administrator.close();
  const cloud = await startOracleCloud({ registryBehind: behind.origin });
  cloud.putLogin(secretId, right);
  const folder = await makeFolder();
  await folder.write('connectors.yaml', manifestsFor(registry, cloud));
  const standalone = await startStandalone([
    ...['--manifests', folder.path, '--certs', join(folder.path, 'certs'), '--oci-auth', 'instance'],
    ...['--oci-metadata-url', cloud.settings.metadataUrl, '--oci-federation-url', cloud.settings.federationUrl],
    ...['--oci-vault-url', cloud.settings.vaultUrl],
    ...['--oci-registry-domains', cloud.registryHost, '--oci-registry-protocol', 'http'],
  ]);
  return { issuer, registry, behind, cloud, folder, client: await makeClientHome(), standalone };
}

/** JSON is YAML. */
function manifestsFor(registry: RealRegistry, cloud: OracleCloud): string {
  const entry = (username: string, password: string, path = '') => ({
    secretType: 'BASIC',
    registryEndpoint: registry.host + path,
    username: base64(username),
    password: base64(password),
  });
  const wrong = [entry('first', canary('first')), entry('second', canary('second'), '/team')];
  const connector = (name: string, address: string, spec: object) => ({
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { name, namespace: 'demo' },
    spec: { connectorClassName: 'oracle', address, ...spec },
  });
  const types = [
    {
      name: 'ociRegistry',
      source: 'ociRegistry',
      allow: [{ namespaces: ['demo'], addresses: [`http://${cloud.registryHost}`] }],
    },
    { name: 'ociVault', source: 'ociVault', allow: [{ namespaces: ['demo'], secretIds: [secretId] }] },
  ];
  const elsewhere = entry('elsewhere', canary('elsewhere'), '/other');
  const vault = { secretType: 'VAULT', registryEndpoint: `${registry.host}/team`, secretId };
  const documents = [
    {
      apiVersion: 'connectors.alauda.io/v1alpha1',
      kind: 'ConnectorClass',
      metadata: { name: 'oracle' },
      spec: { auth: { types } },
    },
    connector('third', registry.origin, {
      imagePullSecrets: [elsewhere, ...wrong, entry(right.username, right.password)],
    }),
    connector('vault', registry.origin, { imagePullSecrets: [wrong[0], vault] }),
    connector('none', registry.origin, { imagePullSecrets: wrong }),
    connector('ocir', `http://${cloud.registryHost}`, { auth: { name: 'ociRegistry' } }),
  ];
  return documents.map((document) => JSON.stringify(document)).join('\n---\n');
}

const userOf = ({ authorization = '' }: { authorization?: string | undefined }) =>
  Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
    .toString()
    .split(':')[0];

describe.each(registryParts)('images in %s', (part) => {
  requireParts(part, 'crane')('pulled by crane through the product', () => {
    let scene: Scene;

    beforeAll(async () => {
      scene = await openScene(part);
    });
    afterAll(async () => {
      if (scene === undefined) return;
      await scene.standalone.stop();
      await Promise.all([scene.registry.stop(), scene.behind.stop(), scene.issuer.close(), scene.cloud.close()]);
      await Promise.all([scene.client.close(), scene.folder[Symbol.asyncDispose]()]);
    });

    const imageOf = (connector: string) =>
      `${scene.standalone.imageHost}/namespaces/demo/connectors/${connector}/team/app:v1`;
    const pull = async (connector: string): Promise<string[]> => {
      const layout = join(scene.client.folder, `layout-${connector}`);
      await scene.client.mustRun('crane', ['pull', '--format=oci', imageOf(connector), layout]);
      return [...(await readOciLayout(layout))];
    };
    const loginsSince = (count: number) =>
      scene.issuer.requests.slice(count).map((asked) => `${userOf(asked)} ${asked.status}`);

    test('come with the third credential, which alone may, and then with that at once', async () => {
      const before = scene.issuer.requests.length;
      expect(await pull('third')).toEqual(expect.arrayContaining(digests));
      expect(loginsSince(before)).toEqual(['first 401', 'second 401', 'third 200']);
      await scene.client.mustRun('crane', ['digest', imageOf('third')]);
      expect(loginsSince(before)).toHaveLength(3);
    });

    test('come with a credential from the Vault, which the identity of the process opens', async () => {
      const before = scene.issuer.requests.length;
      expect(await pull('vault')).toEqual(expect.arrayContaining(digests));
      expect(loginsSince(before)).toEqual(['first 401', 'third 200']);
      expect(scene.cloud.vaultService.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`)).toEqual([
        `GET /20190301/secretbundles/${secretId}`,
      ]);
    });

    test('come from Oracle’s registry, with a token of its', async () => {
      expect(await pull('ocir')).toEqual(expect.arrayContaining(digests));
      const tokens = scene.cloud.registryService.requests.filter(({ path }) =>
        path.startsWith('/20180419/docker/token'),
      );
      expect(tokens[0]?.headers.authorization).toMatch(/^Signature /);
      expect(userOf({ authorization: tokens.at(-1)?.headers.authorization })).toBe('BEARER_TOKEN');
    });

    test('do not come from Oracle’s registry where policy denies, which is told with what to write', async () => {
      scene.cloud.registry.deny('team/denied');
      const denied = imageOf('ocir').replace('team/app', 'team/denied');
      const { code, stderr } = await scene.client.run('crane', ['manifest', denied]);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/only allowed read access on public repos.*Allow dynamic-group .* to read repos/);
    });

    test('do not come where no credential may, and each is named', async () => {
      const { code, stderr } = await scene.client.run('crane', [
        'pull',
        imageOf('none'),
        join(scene.client.folder, 'none'),
      ]);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/DENIED: .*none of 2 credentials lets the pull of team\/app through/);
      for (const at of [0, 1]) expect(stderr).toContain(`spec.imagePullSecrets[${at}]`);
      expect(stderr).not.toContain('canary');
    });

    test('leave no credential in any log', () => {
      const log = scene.standalone.lines.join('\n');
      expect(log).toContain('team/app');
      for (const secret of ['first', 'second', 'third', 'elsewhere'].map(canary)) {
        for (const text of [secret, base64(secret), encodeURIComponent(secret)]) expect(log).not.toContain(text);
      }
      for (const secret of scene.cloud.canaries()) expect(log).not.toContain(secret);
    });
  });
});
