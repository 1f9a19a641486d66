import { onTestFinished } from 'vitest';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import type { ResolvedConnector } from '../../connectors/connector.ts';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import type { Connector, Document } from '../../connectors/schema.ts';
import type { Grant, GrantWant } from '../../credentials/grant.ts';
import { LocalGrants } from '../../credentials/local-grants.ts';
import { OracleCredentials } from '../../credentials/oracle-credentials.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import { classOf, connectorOf } from '../connectors/documents.ts';
import { type Account, type AccountRegistryOptions, startAccountRegistry } from '../support/accounts.ts';
import { makeImage } from '../support/image.ts';
import { FakeOracle } from './fake-oracle.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

export const basicEntry = (registryEndpoint: string, username: string, password: string): ImagePullSecret => ({
  secretType: 'BASIC',
  registryEndpoint,
  username: base64(username),
  password: base64(password),
});

/** OCID of a secret that stands for `name`. */
export const secretIdOf = (name: string): string => `ocid1.vaultsecret.oc1.eu-frankfurt-1.${name}`;

export const vaultEntry = (registryEndpoint: string, name: string): ImagePullSecret => ({
  secretType: 'VAULT',
  registryEndpoint,
  secretId: secretIdOf(name),
});

/** A class that lets everybody use the identity of this process, for these secrets. */
export const permissive = (...names: readonly string[]): Document =>
  classOf('oci', {
    auth: {
      types: [
        { name: 'tokenAuth', optional: true },
        { name: 'ociRegistry', source: 'ociRegistry', allow: [{ namespaces: ['*'] }] },
        { name: 'ociVault', source: 'ociVault', allow: [{ namespaces: ['*'], secretIds: names.map(secretIdOf) }] },
      ],
    },
  });

export function connectorWith(spec: Partial<Connector['spec']>, ...documents: Document[]): ResolvedConnector {
  const connector = buildCatalogue([connectorOf(spec), ...documents]).connectors[0];
  if (connector === undefined) throw new Error('no connector');
  return connector;
}

export interface SequenceSceneOptions {
  readonly registry?: AccountRegistryOptions;
  /** User names in the order of the entries; `vault:name` for one whose password the Vault has. By default all accounts. */
  readonly entries?: readonly string[];
}

/** A registry with accounts, a connector with an entry for each, and grants whose clock stands still unless it is moved. */
export async function openSequence(accounts: Record<string, Account>, options: SequenceSceneOptions = {}) {
  const clock = { at: Date.parse('2026-01-01T00:00:00Z') };
  const now = () => clock.at;
  const site = await startAccountRegistry(accounts, { now, ...options.registry });
  for (const repository of new Set(Object.values(accounts).flatMap(({ pulls }) => pulls))) {
    site.registry.seed(repository, makeImage(), ['v1']);
  }
  const transports = new RegistryTransports();
  const oracle = new FakeOracle();
  onTestFinished(async () => {
    await transports.close();
    await site.close();
  });
  const names = (options.entries ?? Object.keys(accounts)).map(
    (text) => text.split(':').reverse() as [string, string?],
  );
  for (const [username] of names) {
    oracle.secrets.set(secretIdOf(username), { username, password: accounts[username]?.password ?? '' });
  }
  const { authority, origin } = site.registry;
  const imagePullSecrets = names.map(([username, source]) =>
    source === 'vault'
      ? vaultEntry(authority, username)
      : basicEntry(authority, username, accounts[username]?.password ?? ''),
  );
  const connector = connectorWith({ address: origin, imagePullSecrets }, permissive(...names.map(([name]) => name)));
  const grants = new LocalGrants({ transports, oracle: new OracleCredentials({ oracle, now }), now });
  const grant = (want: Partial<GrantWant> = {}, signal = new AbortController().signal): Promise<Grant> =>
    grants.grant({ connector, repository: 'team/app', actions: ['pull'], caller: { name: 'test' }, ...want }, signal);
  return { ...site, clock, oracle, connector, grant };
}
