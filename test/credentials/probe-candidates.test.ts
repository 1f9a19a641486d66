import { describe, expect, onTestFinished, test } from 'vitest';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import { candidatesToProbe } from '../../credentials/candidates.ts';
import { OracleCredentials } from '../../credentials/oracle-credentials.ts';
import { ping } from '../../credentials/ping.ts';
import { probeCandidates } from '../../credentials/probe-candidates.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type Account, type AccountRegistryOptions, startAccountRegistry } from '../support/accounts.ts';
import { makeImage } from '../support/image.ts';
import { basicEntry, connectorWith, permissive, secretIdOf, vaultEntry } from './entries.ts';
import { FakeOracle, oracleFailure } from './fake-oracle.ts';

const app = 'team/app';
const canary = 'canary-7f3a-of-a-password';
const { signal } = new AbortController();
const entry = (at: number) => `spec.imagePullSecrets[${at}]`;

/** A probe of a connector to a registry with accounts. */
async function open(accounts: Record<string, Account>, options: AccountRegistryOptions = {}) {
  const clock = { at: Date.parse('2026-01-01T00:00:00Z') };
  const now = () => clock.at;
  const site = await startAccountRegistry(accounts, { now, ...options });
  site.registry.seed(app, makeImage(), ['v1']);
  const transport = new RegistryTransport({ origin: site.registry.origin });
  onTestFinished(async () => {
    await transport.destroy();
    await site.close();
  });
  const oracle = new FakeOracle();
  const { authority, origin } = site.registry;
  const credentials = new OracleCredentials({ oracle, furtherDomains: [authority], isHttpAllowed: true, now });
  const basic = (name: string, path = '') => basicEntry(authority + path, name, accounts[name]?.password ?? canary);
  const probe = async (
    imagePullSecrets: ImagePullSecret[],
    repository?: string,
    more: { auth?: { name: string }; hasOracle?: boolean } = {},
  ) => {
    const { hasOracle = true, ...spec } = more;
    const connector = connectorWith({ address: origin, imagePullSecrets, ...spec }, permissive('one', 'two'));
    const candidates = candidatesToProbe(connector, repository, { oracle: hasOracle ? credentials : undefined });
    const challenges = await ping(transport, undefined, signal);
    return probeCandidates(
      { transport, challenges, repository, candidates, shown: [], now },
      { signal, timeoutMs: 5_000 },
    );
  };
  const put = (name: string, password: string) => oracle.secrets.set(secretIdOf(name), { username: name, password });
  return { ...site, clock, oracle, authority, basic, probe, put };
}

const account = (pulls: readonly string[] = []): Account => ({ password: canary, pulls });

describe('of several credentials', () => {
  test('one that works is enough, and the others are told by name', async () => {
    const { basic, probe } = await open({ one: account([app]) });
    const outcome = await probe([basic('nobody'), basic('one'), basic('none')]);
    expect(outcome).toMatchObject({ ok: true, reason: 'CredentialAccepted' });
    const parts = outcome.message.split(' | ');
    expect(parts.map((part) => part.split(':')[0])).toEqual([entry(1), entry(0), entry(2)]);
    expect(parts[1]).toMatch(/refused the credential with 401/);
    expect(outcome.message).not.toContain(canary);
  });

  test('where none works the first says why, and all are told by name', async () => {
    const { basic, probe } = await open({});
    const outcome = await probe([basic('one'), basic('two')]);
    expect(outcome).toMatchObject({ ok: false, reason: 'CredentialRefused' });
    expect(outcome.message.split(' | ').map((part) => part.split(':')[0])).toEqual([entry(0), entry(1)]);
    expect(outcome.message).not.toContain(canary);
  });

  test('each is proved on the repository that is to prove it, where it is for that', async () => {
    const { basic, exchanges, probe } = await open({ one: account(), two: account([app]) });
    const outcome = await probe([basic('one'), basic('two', '/team'), basic('nobody', '/other')], app);
    expect(outcome).toMatchObject({ ok: true, reason: 'RepositoryReadable' });
    expect(outcome.message).toMatch(/^spec\.imagePullSecrets\[1\]: .* \| spec\.imagePullSecrets\[0\]: .*\(403\)/);
    expect(exchanges.some((line) => line.startsWith('nobody'))).toBe(false);
  });

  test('those behind the eighth are not probed, which is told', async () => {
    const { basic, exchanges, probe } = await open({ one: account() });
    const outcome = await probe(Array.from({ length: 10 }, () => basic('one')));
    expect(exchanges).toHaveLength(8);
    expect(outcome.message).toMatch(/2 more are not probed/);
  });

  // What is wrong is the entry: there is no spec.auth at all.
  test('what is to be corrected is the entry', async () => {
    const { basic, probe } = await open({});
    for (const entries of [[basic('one')], [basic('one'), basic('two')]]) {
      expect((await probe(entries)).message).not.toContain('spec.auth.secretRef');
    }
  });
});

test('a connector whose entries are for other repositories is probed without a credential', async () => {
  const { basic, exchanges, probe } = await open({ one: account([app]) });
  const outcome = await probe([basic('one', '/other')], app);
  expect(outcome).toMatchObject({ ok: false, reason: 'RepositoryDenied' });
  expect(exchanges).toEqual([` 401 repository:${app}:pull`]);
});

test('an entry for another registry is not shown to this one, whatever is to be proved', async () => {
  const { exchanges, probe } = await open({ other: account([app]) });
  const foreign = basicEntry('other.example.com', 'other', canary);
  for (const repository of [undefined, app]) await probe([foreign], repository);
  expect(exchanges.filter((line) => line.startsWith('other'))).toEqual([]);
});

describe('a credential from Oracle’s cloud', () => {
  test('that was rotated is read again', async () => {
    const { accounts, authority, clock, oracle, put, probe } = await open({ one: account([app]) });
    put('one', canary);
    expect(await probe([vaultEntry(authority, 'one')])).toMatchObject({ reason: 'CredentialAccepted' });
    accounts['one'] = { ...account([app]), password: 'rotated' };
    put('one', 'rotated');
    clock.at += 10_000;
    expect(await probe([vaultEntry(authority, 'one')])).toMatchObject({ reason: 'CredentialAccepted' });
    expect(oracle.asked).toHaveLength(2);
  });

  test('that is wrong is asked of the registry once', async () => {
    const { authority, exchanges, put, probe } = await open({ one: account() });
    put('one', 'wrong');
    expect(await probe([vaultEntry(authority, 'one')])).toMatchObject({ reason: 'CredentialRefused' });
    expect(exchanges).toHaveLength(1);
  });

  test.each([
    ['Unavailable', 'CredentialUnavailable'],
    ['Limited', 'CredentialUnavailable'],
    ['Denied', 'CredentialUnusable'],
    ['SecretMalformed', 'CredentialUnusable'],
  ] as const)('that is not to be had (%s) is %s, told by the entry', async (code, reason) => {
    const { authority, oracle, basic, probe } = await open({ two: account() });
    oracle.failure = oracleFailure(code);
    const alone = await probe([vaultEntry(authority, 'one')]);
    expect(alone).toMatchObject({ ok: false, reason });
    expect(alone.message).toContain(entry(0));
    const beside = await probe([vaultEntry(authority, 'one'), basic('two')]);
    expect(beside.ok).toBe(true);
    expect(beside.message).toMatch(/^spec\.imagePullSecrets\[1\]: .* \| .*spec\.imagePullSecrets\[0\]/);
    expect(beside.message.match(/spec\.imagePullSecrets\[0\]/g)).toHaveLength(1);
  });

  test('needs an identity of this process, which is told by the entry that wants it', async () => {
    const { authority, basic, probe } = await open({ two: account() });
    const entries = [vaultEntry(authority, 'one'), basic('two')];
    const [alone, beside] = [
      await probe(entries.slice(0, 1), undefined, { hasOracle: false }),
      await probe(entries, undefined, { hasOracle: false }),
    ];
    expect(alone).toMatchObject({ ok: false, reason: 'CredentialUnusable' });
    expect(alone.message).toMatch(/OracleNotConfigured.*--oci-auth/);
    expect(alone.message).toContain(entry(0));
    expect(beside.message).toContain(entry(0));
  });

  test('for the registry itself comes with advice about policies where the registry denies it', async () => {
    const { accounts, oracle, probe } = await open({ BEARER_TOKEN: { password: 'registry-token-1', pulls: [] } });
    oracle.login = () => ({ token: 'registry-token-1', expiresAt: Number.MAX_SAFE_INTEGER });
    const denied = await probe([], app, { auth: { name: 'ociRegistry' } });
    expect(denied).toMatchObject({ ok: false, reason: 'RepositoryDenied' });
    expect(denied.message).toMatch(/Allow dynamic-group .* to read repos in compartment/);
    expect(denied.message).not.toContain('registry-token-1');
    Object.assign(accounts, { BEARER_TOKEN: { password: 'registry-token-1', pulls: [app] } });
    expect(await probe([], app, { auth: { name: 'ociRegistry' } })).toMatchObject({ reason: 'RepositoryReadable' });
  });
});
