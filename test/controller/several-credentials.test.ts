import { describe, expect, onTestFinished, test } from 'vitest';
import { resolveConnector } from '../../connectors/connector.ts';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import type { Connector, Document } from '../../connectors/schema.ts';
import { connectorEvents } from '../../controller/connector-events.ts';
import { ConnectorProber } from '../../controller/connector-prober.ts';
import { OracleCredentials } from '../../credentials/oracle-credentials.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import { classOf, connectorOf, secretOf, withSecret } from '../connectors/documents.ts';
import { basicEntry, connectorWith, permissive, secretIdOf, vaultEntry } from '../credentials/entries.ts';
import { FakeOracle, oracleFailure } from '../credentials/fake-oracle.ts';
import { robot, robotSecret } from '../credentials/fixtures.ts';
import { type Account, startAccountRegistry } from '../support/accounts.ts';
import { conditionsIn, factsOf, messageIn, statusFrom } from './connector-facts.ts';

const host = 'harbor.example.com';
const entry = (at: number) => `spec.imagePullSecrets[${at}]`;
const named = (name: string): ImagePullSecret => ({
  secretType: 'SECRET',
  registryEndpoint: host,
  secretRef: { name },
});
const vault = vaultEntry(host, 'one');
const opaque = secretOf('opaque', robot, 'Opaque');
const withEntries = (...imagePullSecrets: ImagePullSecret[]) => connectorOf({ imagePullSecrets });
const without = connectorOf();

/** What a status and the Events of its appearance tell. */
function told(connector: Connector, ...others: Document[]) {
  const status = statusFrom(factsOf(connector, others));
  return { status, events: connectorEvents([], status.conditions ?? []) };
}

describe('SecretReady of several credentials', () => {
  test.each<[condition: string, connector: Connector, others: Document[], message: RegExp, also: object]>([
    ['True SecretFound', withEntries(named('robot')), [robotSecret], /^$/, { Ready: 'True Ready' }],
    ['True SecretOptional', withEntries(vault), [permissive('one')], /^$/, { Ready: 'True Ready' }],
    ['True SecretOptional', withEntries(), [], /no credential is used/, { Ready: 'True Ready' }],
    [
      'True EntriesUnusable',
      withEntries(named('none'), named('robot')),
      [robotSecret],
      /^spec\.imagePullSecrets\[0\]\.secretRef\.name: there is no Secret "none" in namespace "demo"; create it/,
      { Ready: 'True Ready', AuthReady: 'True Well' },
    ],
    [
      'True EntriesUnusable',
      withEntries(named('opaque'), vault, named('robot')),
      [robotSecret, opaque],
      /^spec\.imagePullSecrets\[0\]\.secretRef\.name: Secret "opaque" is of type.* \| spec\.imagePullSecrets\[1\]\.secretId: .*does not let namespace "demo" use this secret.*or name a Secret$/,
      { Ready: 'True Ready' },
    ],
    [
      'True EntriesUnusable',
      connectorOf({ ...withSecret('opaque'), imagePullSecrets: [named('robot')] }),
      [robotSecret, opaque],
      /^spec\.auth\.secretRef\.name: Secret "opaque" is of type/,
      { Ready: 'True Ready' },
    ],
    [
      'False SecretNotFound',
      withEntries(named('none'), vault),
      [],
      /^spec\.imagePullSecrets\[0\]\.secretRef\.name: .* \| spec\.imagePullSecrets\[1\]\.secretId: /,
      { Ready: 'False SecretNotFound', AuthReady: 'Unknown SecretNotFound' },
    ],
    [
      'False SourceForbidden',
      withEntries(vault),
      [],
      /^spec\.imagePullSecrets\[0\]\.secretId: .* under spec\.auth\.types\[\]\.allow of the type with source ociVault; or name a Secret$/,
      { Ready: 'False SourceForbidden', AuthReady: 'Unknown SourceForbidden' },
    ],
    [
      'False SourceForbidden',
      connectorOf({ auth: { name: 'ociRegistry' } }),
      [],
      /^spec\.auth\.name: .*namespace "demo" use the identity of the controller/,
      { Ready: 'False SourceForbidden', AuthReady: 'Unknown SourceForbidden', LivenessReady: 'True Well' },
    ],
    [
      'False SecretIdInvalid',
      connectorOf({ auth: { name: 'ociVault' } }),
      [],
      /^spec\.auth\.params: needs secretId, .*; write it as the Vault shows it/,
      { Ready: 'False SecretIdInvalid' },
    ],
    [
      'False EntryInvalid',
      withEntries({ secretType: 'VAULT', registryEndpoint: host }),
      [],
      /^spec\.imagePullSecrets\[0\]\.secretId: is needed by secretType VAULT; correct the entry$/,
      { Ready: 'False EntryInvalid' },
    ],
    [
      'False SecretKeyMissing',
      withEntries(named('empty')),
      [secretOf('empty', {})],
      /^spec\.imagePullSecrets\[0\]\.secretRef\.name: Secret "empty" lacks username and password; add/,
      { Ready: 'False SecretKeyMissing' },
    ],
  ])('is %s', (condition, connector, others, message, also) => {
    const { status, events } = told(connector, ...others);
    expect(conditionsIn(status)).toMatchObject({
      SecretReady: condition,
      SpecSupported: 'True AllFieldsSupported',
      ...also,
    });
    expect(messageIn(status, 'SecretReady')).toMatch(message);
    expect(JSON.stringify([status, events])).not.toContain(robot.password);
    const warnings = events.filter(({ type }) => type === 'Warning').map(({ reason }) => reason);
    expect(warnings).toEqual(condition.startsWith('False') ? [condition.split(' ')[1]] : []);
    for (const { note, type } of events) if (type === 'Warning') expect(note).toMatch(/^SecretReady is False: spec\./);
  });

  test('tells of a password that stands in the connector by its field, and of nothing that is in it', () => {
    const inline = withEntries(basicEntry(host, 'inline-user', robot.password), named('robot'));
    const { connectorClass } = factsOf(without);
    const parts = {
      connectorClass: () => connectorClass,
      secret: () => robotSecret,
      isInlinePasswordForbidden: true,
    };
    for (const [connector, condition] of [
      [inline, 'True EntriesUnusable'],
      [withEntries(basicEntry(host, 'inline-user', robot.password)), 'False InlinePasswordForbidden'],
    ] as const) {
      const status = statusFrom(
        factsOf(connector, [robotSecret], { resolved: resolveConnector(connector, 'demo', parts) }),
      );
      expect(conditionsIn(status)).toMatchObject({ SecretReady: condition });
      const text = JSON.stringify([status, connectorEvents([], status.conditions ?? [])]);
      expect(text).toMatch(/spec\.imagePullSecrets\[0\]\.password: holds a password/);
      expect(text).toMatch(/change the password; and delete it here/);
      for (const secret of [robot.password, 'inline-user']) {
        expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
        expect(text).not.toContain(Buffer.from(secret).toString('base64'));
      }
    }
  });
});

describe('AuthReady of several credentials', () => {
  const intervalMs = 300_000;
  const key = 'demo/harbor';
  const canary = 'canary-7f3a-of-a-password';
  const account = (): Account => ({ password: canary, pulls: [] });

  /** A prober of one connector whose clock stands still. */
  async function open(accounts: Record<string, Account>, specAt: (authority: string) => Partial<Connector['spec']>) {
    const clock = { at: 1_000_000 };
    const now = () => clock.at;
    const site = await startAccountRegistry(accounts, { now });
    const transports = new RegistryTransports();
    const oracle = new FakeOracle();
    const { authority, origin } = site.registry;
    const spec = { address: origin, ...specAt(authority) };
    const resolved = connectorWith(spec, permissive('one', 'two'));
    const connector = connectorOf(spec);
    const reports: string[] = [];
    const prober = new ConnectorProber({
      transports,
      sources: { oracle: new OracleCredentials({ oracle, furtherDomains: [authority], isHttpAllowed: true, now }) },
      subject: () => ({ connector, resolved }),
      onVerdicts: () => {},
      onProbe: ({ probe, result }) => void (probe === 'authentication' && reports.push(result)),
      onError: (error) => {
        throw error;
      },
      intervalMs,
      timeoutMs: 5_000,
      freshMs: 0,
      lanes: { concurrency: 1, perLane: 1 },
      now,
      random: () => 0.5,
    });
    onTestFinished(async () => {
      prober[Symbol.dispose]();
      await transports.close();
      await site.close();
    });
    const probed = async () => {
      while (prober.isRunning(key)) await new Promise(setImmediate);
      return prober.verdicts(key, resolved.revision)?.authentication;
    };
    prober.observe(key, { connector, resolved }, false);
    const again = (afterMs: number) => {
      clock.at += afterMs;
      prober.tick();
      return probed();
    };
    return { ...site, oracle, reports, prober, probed, again };
  }

  test('is True where one of them works, and names those that do not', async () => {
    const { probed } = await open({ one: account() }, (at) => ({
      imagePullSecrets: [basicEntry(at, 'no', canary), basicEntry(at, 'one', canary)],
    }));
    const verdict = await probed();
    expect(verdict).toMatchObject({ status: 'True', reason: 'CredentialAccepted' });
    expect(verdict?.message).toMatch(/^spec\.imagePullSecrets\[1\]: .* \| spec\.imagePullSecrets\[0\]: /);
    expect(verdict?.message).not.toContain(canary);
  });

  test('says so when another one of them works than before', async () => {
    const { accounts, probed, again } = await open({ one: account(), two: account() }, (at) => ({
      imagePullSecrets: [basicEntry(at, 'one', canary), basicEntry(at, 'two', canary)],
    }));
    expect((await probed())?.message).toMatch(/^spec\.imagePullSecrets\[0\]: [^|]*$/);
    delete accounts['one'];
    expect((await again(intervalMs * 1.1))?.message).toMatch(
      /^spec\.imagePullSecrets\[1\]: .* \| spec\.imagePullSecrets\[0\]: /,
    );
  });

  test('is False where none works, and names all', async () => {
    const { probed } = await open({}, (at) => ({
      imagePullSecrets: [basicEntry(at, 'no', canary), basicEntry(at, 'one', canary)],
    }));
    const verdict = await probed();
    expect(verdict).toMatchObject({ status: 'False', reason: 'CredentialRefused' });
    for (const at of [0, 1]) expect(verdict?.message).toContain(entry(at));
    expect(verdict?.message).not.toContain(canary);
  });

  test('goes on with what is known while the Vault is away', async () => {
    const { oracle, reports, probed, again } = await open({ one: account() }, (at) => ({
      imagePullSecrets: [vaultEntry(at, 'one')],
    }));
    oracle.secrets.set(secretIdOf('one'), { username: 'one', password: canary });
    expect(await probed()).toMatchObject({ status: 'True', reason: 'CredentialAccepted' });
    oracle.failure = oracleFailure('Unavailable');
    expect(await again(intervalMs)).toMatchObject({ status: 'True' });
    expect(reports).toEqual(['ok', 'ok']);
  });

  test('stays True when Oracle’s cloud is away once, and is False when it still is soon after', async () => {
    const { oracle, reports, probed, again } = await open({ BEARER_TOKEN: account() }, () => ({
      auth: { name: 'ociRegistry' },
    }));
    oracle.login = () => ({ token: canary, expiresAt: 1_000_000 + intervalMs });
    expect(await probed()).toMatchObject({ status: 'True', reason: 'CredentialAccepted' });
    oracle.failure = oracleFailure('Unavailable');
    expect(await again(intervalMs)).toMatchObject({ status: 'True' });
    const verdict = await again(5_000);
    expect(verdict).toMatchObject({ status: 'False', reason: 'CredentialUnavailable' });
    expect(verdict?.message).toMatch(/spec\.auth: Oracle’s cloud/);
    expect(reports).toEqual(['ok', 'CredentialUnavailable', 'CredentialUnavailable']);
    oracle.failure = undefined;
    oracle.login = () => ({ token: canary, expiresAt: Number.MAX_SAFE_INTEGER });
    expect(await again(intervalMs)).toMatchObject({ status: 'True' });
  });

  test('is False at once where the Vault has nothing for us, and is looked at in its own time', async () => {
    const { oracle, prober, probed, again, reports } = await open({ one: account() }, (at) => ({
      imagePullSecrets: [vaultEntry(at, 'one')],
    }));
    oracle.failure = oracleFailure('Denied');
    const verdict = await probed();
    expect(verdict).toMatchObject({ status: 'False', reason: 'CredentialUnusable' });
    expect(verdict?.message).toContain(entry(0));
    await again(60_000);
    expect(reports).toHaveLength(1);
    expect(prober.isRunning(key)).toBe(false);
    await again(intervalMs);
    expect(reports).toHaveLength(2);
  });
});

test('sources and rules of a class are none of the fields that are without effect', () => {
  const rules = classOf('oci', {
    auth: {
      types: [{ name: 'ociVault', source: 'ociVault', allow: [{ namespaces: ['*'], secretIds: [secretIdOf('one')] }] }],
    },
  });
  const auth = { name: 'ociVault', params: [{ name: 'secretId', value: secretIdOf('one') }] };
  const { status } = told(connectorOf({ auth }), rules);
  expect(conditionsIn(status)).toMatchObject({ SpecSupported: 'True AllFieldsSupported', Ready: 'True Ready' });
});
