import { afterEach, describe, expect, test } from 'vitest';
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
import { toProxyError } from '../../platform/network-error.ts';
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
  readonly principal?: object;
  readonly tryPull?: AnswerDependencies['tryPull'];
  readonly haste?: AbortSignal;
}

const tryReally: AnswerDependencies['tryPull'] = async (request, { username, password }, trialSignal) => {
  const transport = new RegistryTransport({ origin: `http://${request.registry}` });
  const credential = { kind: 'password', username, password } as const;
  try {
    return await tryPull({ transport, repository: request.repository, credential, now: Date.now }, trialSignal);
  } finally {
    await transport.destroy();
  }
};

function start({
  entries = [],
  oracle = {},
  isOracleRegistry = false,
  tokenValidation = false,
  folder = memoryFolder(),
  principal = {},
  tryPull: tryAs = tryReally,
  haste = signal,
}: Given) {
  const configuration = { imagePullSecrets: entries, tokenValidation, ...principal };
  const read = parseConfiguration(JSON.stringify(configuration), 'file');
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
    tryPull: tryAs,
    haste,
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
] as const)('%s, for which there is nothing, is asked for again with the next pull', async (image, entries, type) => {
  expect(await start({ entries }).answer(image)).toEqual({ cacheKeyType: type, expiresAt: undefined, auth: {} });
});

test('of two keys the credential that ends first says how long the answer is good', async () => {
  const entries = [vault('fra.ocir.io/team', 'id')];
  const answer = await start({ entries, isOracleRegistry: true }).answer('fra.ocir.io/team/app');
  expect(Object.keys(answer.auth)).toEqual(['fra.ocir.io/team', 'fra.ocir.io']);
  expect(answer.expiresAt).toBe(now + 5 * 60_000);
});

test('a registry that cannot be asked is asked once, and not for each credential', async () => {
  const tried: string[] = [];
  const tryAway: AnswerDependencies['tryPull'] = async (_request, { password }) => {
    tried.push(password);
    throw new Error('away');
  };
  const entries = ['first', 'second', 'third'].map((password) => basic('a.io', password));
  expect(await start({ entries, tryPull: tryAway }).answer('a.io/b')).toMatchObject({
    auth: { 'a.io': { password: 'first' } },
  });
  expect(tried).toEqual(['first']);
});

test('of several that the registry says nothing clear of, the first is handed over', async () => {
  const entries = ['denied', 'first', 'second'].map((password) => basic('a.io', password));
  const tryVaguely: AnswerDependencies['tryPull'] = async (_request, { password }) =>
    password === 'denied' ? { verdict: 'denied', message: 'no' } : { verdict: 'unclear', message: 'hm' };
  expect(await start({ entries, tryPull: tryVaguely }).answer('a.io/b')).toMatchObject({
    expiresAt: undefined,
    auth: { 'a.io': { password: 'first' } },
  });
});

test('which one works is remembered for the repository, and for no other', async () => {
  const tried: string[] = [];
  const trySecond: AnswerDependencies['tryPull'] = async ({ repository }, { password }) => {
    tried.push(`${repository} ${password}`);
    return password === 'second' ? { verdict: 'allowed', message: '' } : { verdict: 'denied', message: 'no' };
  };
  const entries = ['first', 'second'].map((password) => basic('a.io', password));
  const { answer } = start({ entries, tryPull: trySecond });
  for (const path of ['team/a', 'team/a', 'team/b']) await answer(`a.io/${path}`);
  expect(tried).toEqual(['team/a first', 'team/a second', 'team/a second', 'team/b first', 'team/b second']);
});

test('what a registry repeats of the password of an entry is not in the log', async () => {
  const tryEchoing: AnswerDependencies['tryPull'] = async (_request, { password }) => ({
    verdict: 'denied',
    message: `who is user:${password}?`,
  });
  const { answer, lines } = start({ entries: [basic('a.io', 'c4n4ry')], tokenValidation: true, tryPull: tryEchoing });
  await expect(answer('a.io/b')).rejects.toThrow();
  expect(lines.join()).toContain('who is');
  expect(lines.join()).not.toContain('c4n4ry');
});

test.each([
  ['INSTANCE_PRINCIPAL', 'Allow dynamic-group <domain>/<group> to read repos'],
  ['WORKLOAD_IDENTITY', 'Allow any-user to read repos in compartment <compartment> where all {request.principal.type'],
  ['USER_PRINCIPAL', 'Allow group <domain>/<group> to read repos'],
  ['AUTO', 'Allow dynamic-group <domain>/<group> to read repos in compartment <compartment> for an instance'],
])('with %s the policy that is named is one for it', async (ocirAuthMethod, policy) => {
  const given = { isOracleRegistry: true, tokenValidation: true, principal: { ocirAuthMethod } };
  const refuse: AnswerDependencies['tryPull'] = async () => ({ verdict: 'denied', message: 'no' });
  await expect(start({ ...given, tryPull: refuse }).answer('a.io/b')).rejects.toThrow(policy);
});

test('a registry of an unknown CA is told of in words that help on a node', async () => {
  const cause = Object.assign(new Error('self-signed'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  const tryUntrusted: AnswerDependencies['tryPull'] = async () => {
    throw toProxyError(cause, 'a.io');
  };
  const entries = [basic('a.io', 'first'), basic('a.io', 'second')];
  const { answer, lines } = start({ entries, tryPull: tryUntrusted });
  expect(await answer('a.io/b')).toMatchObject({ expiresAt: undefined, auth: { 'a.io': { password: 'first' } } });
  expect(lines.join()).toMatch(/a\.io: its certificate .*NODE_EXTRA_CA_CERTS/);
  expect(lines.join()).not.toContain('caCertSecretRef');
});

describe('when time runs out', () => {
  const allow: AnswerDependencies['tryPull'] = async () => ({ verdict: 'allowed', message: '' });

  /** A vault in which `hangs` is asked for and does not come before its release, and `hangs2` never. */
  function startHanging(given: Given) {
    const haste = new AbortController();
    const asked = Promise.withResolvers<AbortSignal>();
    const answered = Promise.withResolvers<void>();
    const vaultSecret: Oracle['vaultSecret'] = async (id, askSignal) => {
      const login = { username: 'user', password: `password of ${id}`, version: 1 };
      if (!id.startsWith('hangs')) return login;
      asked.resolve(askSignal);
      await (id === 'hangs' ? answered.promise : new Promise(() => {}));
      return login;
    };
    const { answer } = start({ tryPull: allow, oracle: { vaultSecret }, haste: haste.signal, ...given });
    return { answer, asked: asked.promise, release: answered.resolve, hurry: () => haste.abort() };
  }

  test.each([
    ['another entry of the key', ['a.io hangs', 'a.io hangs2', 'a.io basic'], { 'a.io': 'basic' }],
    ['another key', ['a.io/team hangs', 'a.io/team hangs2', 'a.io basic'], { 'a.io': 'basic' }],
    ['a secret of another key', ['a.io/team hangs', 'a.io id'], { 'a.io': 'password of id' }],
  ])('a vault that hangs does not cost the credential of %s', async (_what, texts, expected) => {
    const entries = texts.map((text) => {
      const [endpoint = '', what = ''] = text.split(' ');
      return what === 'basic' ? basic(endpoint, what) : vault(endpoint, what);
    });
    const { answer, asked, hurry } = startHanging({ entries });
    const answering = answer('a.io/team/app');
    const asking = await asked;
    hurry();
    const { auth, expiresAt } = await answering;
    expect(Object.fromEntries(Object.entries(auth).map(([key, { password }]) => [key, password]))).toEqual(expected);
    expect(expiresAt).toBeUndefined();
    expect(asking.aborted).toBe(true);
  });

  test('a credential that is being tried is handed over, and one that was refused is not', async () => {
    const onTrial = Promise.withResolvers<void>();
    const tryHanging: AnswerDependencies['tryPull'] = async (_request, { password }) => {
      if (password === 'refused') return { verdict: 'denied', message: 'no' };
      onTrial.resolve();
      return new Promise(() => {});
    };
    const entries = ['refused', 'tried', 'later'].map((password) => basic('a.io', password));
    const { answer, hurry } = startHanging({ entries, tryPull: tryHanging });
    const answering = answer('a.io/team/app');
    await onTrial.promise;
    hurry();
    expect(await answering).toMatchObject({ expiresAt: undefined, auth: { 'a.io': { password: 'tried' } } });
  });

  test('before the search begins, what is in the configuration is handed over', async () => {
    const { answer, hurry } = startHanging({ entries: [vault('a.io', 'hangs'), basic('a.io', 'basic')] });
    hurry();
    expect(await answer('a.io/team/app')).toMatchObject({ auth: { 'a.io': { password: 'basic' } } });
  });

  test('who has nothing else goes on waiting', async () => {
    const entries = [vault('a.io', 'hangs'), vault('a.io/team', 'hangs2')];
    const { answer, asked, hurry, release } = startHanging({ entries });
    const answering = answer('a.io/team/app');
    await asked;
    hurry();
    release();
    expect(await answering).toMatchObject({ auth: { 'a.io': { password: 'password of hangs' } } });
  });
});

test('after a vault that did not answer in time the next secret of it is not waited for', async () => {
  const asked: string[] = [];
  const vaultSecret: Oracle['vaultSecret'] = async (id) => {
    asked.push(id);
    throw new OracleError('vault', 'Timeout', 'did not answer');
  };
  const entries = [vault('a.io', 'x'), vault('a.io', 'y'), basic('a.io', 'third')];
  const allowed: AnswerDependencies['tryPull'] = async () => ({ verdict: 'allowed', message: '' });
  const { answer } = start({ entries, oracle: { vaultSecret }, tryPull: allowed });
  expect(await answer('a.io/b')).toMatchObject({
    expiresAt: now + 5 * 60_000,
    auth: { 'a.io': { password: 'third' } },
  });
  expect(asked).toEqual(['x']);
});
