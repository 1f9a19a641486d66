import { afterEach, expect, test } from 'vitest';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import { OracleError } from '../../credentials/oracle/errors.ts';
import type { Oracle } from '../../credentials/oracle/oracle.ts';
import { tryPull } from '../../credentials/pull-trial.ts';
import { type AnswerDependencies, findAnswer } from '../../kubelet/answer.ts';
import { openCache } from '../../kubelet/cache.ts';
import { parseConfiguration } from '../../kubelet/configuration.ts';
import { createLog } from '../../kubelet/log.ts';
import { sharedLogins } from '../../kubelet/logins.ts';
import { takeTurn } from '../../kubelet/turn.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { makeImage } from '../support/image.ts';
import { type Registry, type RegistryOptions, startRegistry } from '../support/registry.ts';
import { memoryFolder } from './memory-folder.ts';
import { requestFor } from './requests.ts';

const { signal } = new AbortController();
const now = Date.now();
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const basic = (registryEndpoint: string, password: string): ImagePullSecret => ({
  secretType: 'BASIC',
  registryEndpoint,
  username: base64('user'),
  password: base64(password),
});
const vault = (registryEndpoint: string, secretId: string): ImagePullSecret => ({
  secretType: 'VAULT',
  registryEndpoint,
  secretId,
});

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]();
});

async function registryFor(password: string, options: Partial<RegistryOptions> = {}): Promise<Registry> {
  const auth = { kind: 'token', username: 'user', password } as const;
  const registry = await startRegistry({ auth, ...options });
  open.push(registry);
  registry.seed('team/app', makeImage(), ['v1']);
  return registry;
}

interface Given {
  readonly entries?: readonly ImagePullSecret[];
  readonly oracle?: Partial<Oracle>;
  readonly isOracleRegistry?: boolean;
  readonly tokenValidation?: boolean;
  readonly folder?: string;
}

function start({
  entries = [],
  oracle = {},
  isOracleRegistry = false,
  tokenValidation = false,
  folder = memoryFolder(),
}: Given) {
  const read = parseConfiguration(JSON.stringify({ imagePullSecrets: entries, tokenValidation }), 'file');
  if (!read.ok) throw new Error(read.problems.join());
  const lines: string[] = [];
  const uid = process.getuid?.() ?? 0;
  const cache = openCache({ folder, uid, scope: '', now: () => now, warn: () => {} });
  const logSettings = { file: undefined, maxBytes: 4096, level: 'debug' } as const;
  const log = createLog({ settings: logSettings, note: (line) => lines.push(line), now: () => now, pid: 1 });
  const reallyAsked: Oracle = {
    registryToken: async () => ({ token: 'oracle-token', expiresAt: now + 3_600_000 }),
    vaultSecret: async (id) => ({ username: 'user', password: `password of ${id}`, version: 1 }),
    close: () => {},
    ...oracle,
  };
  const logins = sharedLogins({
    oracle: reallyAsked,
    cache,
    takeTurn,
    waitUntil: now + 1000,
    conceal: log.conceal,
    now: () => now,
  });
  const dependencies: AnswerDependencies = {
    logins,
    cache,
    log,
    now: () => now,
    isOracleRegistry: () => isOracleRegistry,
    tryPull: async ({ registry, repository }, { username, password }, trialSignal) => {
      const transport = new RegistryTransport({ origin: `http://${registry}` });
      const credential = { kind: 'password', username, password } as const;
      try {
        return await tryPull({ transport, repository, credential, now: Date.now }, trialSignal);
      } finally {
        await transport.destroy();
      }
    },
  };
  const answer = (image: string) => findAnswer(requestFor(image), read.settings, dependencies, signal);
  return { answer, lines };
}

test.each([
  ['abc/one', ['abc', 'abc/one']],
  ['abc/two', ['abc', 'abc/two']],
])('for %s of the documented example the kubelet gets the secrets of %j', async (repository, expected) => {
  const entries = ['abc', 'abc/one', 'abc/two'].map((path) =>
    vault(`example.registry.io/${path}`, `secret.ocid.${path.split('/').at(-1)}`),
  );
  const login = (path: string) => [
    `example.registry.io/${path}`,
    { username: 'user', password: `password of secret.ocid.${path.split('/').at(-1)}` },
  ];
  expect(await start({ entries }).answer(`example.registry.io/${repository}`)).toEqual({
    cacheKeyType: 'Image',
    expiresAt: now + 5 * 60_000,
    auth: Object.fromEntries(expected.map(login)),
  });
});

test('of three entries that share a key the third works, which the registry says', async () => {
  const registry = await registryFor('third');
  const entries = ['first', 'second', 'third', 'fourth'].map((password) => basic(registry.authority, password));
  const folder = memoryFolder();
  const { answer, lines } = start({ entries, folder });
  const expected = { [registry.authority]: { username: 'user', password: 'third' } };
  expect(await answer(`${registry.authority}/team/app`)).toMatchObject({ cacheKeyType: 'Image', auth: expected });
  expect(registry.tokenRequests.map(({ status }) => status)).toEqual([401, 401, 200]);
  for (const secret of ['first', 'second', 'third']) expect(lines.join()).not.toContain(base64(secret));

  expect(await start({ entries, folder }).answer(`${registry.authority}/team/app`)).toMatchObject({ auth: expected });
  expect(registry.tokenRequests.slice(3).map(({ status }) => status)).toEqual([200]);

  registry.setCredential('user', 'first');
  expect(await start({ entries, folder }).answer(`${registry.authority}/team/app`)).toMatchObject({
    auth: { [registry.authority]: { password: 'first' } },
  });
  expect(registry.tokenRequests.slice(4).map(({ status }) => status)).toEqual([401, 200]);
});

test('where none of them works there is no credential, and every reason is told', async () => {
  const registry = await registryFor('other');
  const entries = [basic(registry.authority, 'wrong-one'), basic(registry.authority, 'wrong-two')];
  const failure = start({ entries }).answer(`${registry.authority}/team/app`);
  await expect(failure).rejects.toThrow(/imagePullSecrets\[0\]: .*; imagePullSecrets\[1\]: /);
  await expect(failure).rejects.not.toThrow(/wrong/);
});

test('a registry that cannot be asked gets the first one, which is not kept', async () => {
  const registry = await registryFor('x');
  const { authority } = registry;
  await registry.close();
  const entries = [basic(authority, 'first'), basic(authority, 'second')];
  const { answer, lines } = start({ entries });
  expect(await answer(`${authority}/team/app`)).toEqual({
    cacheKeyType: 'Image',
    expiresAt: undefined,
    auth: { [authority]: { username: 'user', password: 'first' } },
  });
  expect(lines.join()).toContain('cannot be asked');
});

test('a secret that was kept and does not work any more is read again', async () => {
  const registry = await registryFor('one');
  const passwords = ['one', 'two'];
  const oracle: Partial<Oracle> = {
    vaultSecret: async () => ({ username: 'user', password: passwords.shift() ?? '', version: 1 }),
  };
  const folder = memoryFolder();
  const given = { entries: [vault(registry.authority, 'id')], oracle, tokenValidation: true, folder };
  expect(await start(given).answer(`${registry.authority}/team/app`)).toMatchObject({
    auth: { [registry.authority]: { password: 'one' } },
  });
  registry.setCredential('user', 'two');
  expect(await start(given).answer(`${registry.authority}/team/app`)).toMatchObject({
    auth: { [registry.authority]: { password: 'two' } },
  });
});

test('one entry that cannot be had costs the others nothing', async () => {
  const oracle: Partial<Oracle> = {
    vaultSecret: async () => {
      throw new OracleError('vault', 'Unavailable', 'the vault is away');
    },
  };
  const entries = [vault('a.io', 'id'), basic('a.io/team', 'p')];
  const { answer, lines } = start({ entries, oracle });
  expect(await answer('a.io/team/app')).toEqual({
    cacheKeyType: 'Image',
    expiresAt: undefined,
    auth: { 'a.io/team': { username: 'user', password: 'p' } },
  });
  expect(lines.join()).toContain('imagePullSecrets[0]: vault: the vault is away');
  await expect(answer('a.io/other')).rejects.toThrow('imagePullSecrets[0]: vault: the vault is away');
});

test("the principal's token is for the whole registry, until a minute before it ends", async () => {
  expect(await start({ isOracleRegistry: true }).answer('fra.ocir.io/ns/app')).toEqual({
    cacheKeyType: 'Registry',
    expiresAt: now + 3_540_000,
    auth: { 'fra.ocir.io': { username: 'BEARER_TOKEN', password: 'oracle-token' } },
  });
});

test('entries come before the principal, which is asked where none of them works', async () => {
  const registry = await registryFor('oracle-token');
  registry.setCredential('BEARER_TOKEN', 'oracle-token');
  const entries = [basic(registry.authority, 'wrong')];
  expect(await start({ entries, isOracleRegistry: true }).answer(`${registry.authority}/team/app`)).toMatchObject({
    cacheKeyType: 'Image',
    auth: { [registry.authority]: { username: 'BEARER_TOKEN', password: 'oracle-token' } },
  });
});

test('with validation a token that may not pull is not handed over, and the policy to check is named', async () => {
  const registry = await registryFor('another');
  registry.setCredential('BEARER_TOKEN', 'another');
  const validated = start({ isOracleRegistry: true, tokenValidation: true });
  await expect(validated.answer(`${registry.authority}/team/app`)).rejects.toThrow(
    /check the IAM policy: Allow dynamic-group .* to read repos in compartment/,
  );
  registry.setCredential('BEARER_TOKEN', 'oracle-token');
  expect(await validated.answer(`${registry.authority}/team/app`)).toMatchObject({
    cacheKeyType: 'Image',
    expiresAt: now + 3_540_000,
  });
});

test.each([
  ['a.io/team/app', [], 'Registry'],
  ['a.io/team/app', [basic('b.io', 'p')], 'Registry'],
  ['a.io/team/app', [basic('a.io/other', 'p')], 'Image'],
] as const)('%s, for which there is nothing, is answered so for ten minutes', async (image, entries, cacheKeyType) => {
  expect(await start({ entries }).answer(image)).toEqual({ cacheKeyType, expiresAt: now + 600_000, auth: {} });
});
