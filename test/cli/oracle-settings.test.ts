import { describe, expect, test } from 'vitest';
import { controllerDefaults, readControllerSettings } from '../../cli/controller-settings.ts';
import { oracleKinds } from '../../cli/oracle-options.ts';
import { readStandaloneSettings, standaloneDefaults } from '../../cli/standalone-settings.ts';
import { UsageError } from '../../cli/usage-error.ts';
import { run } from '../support/command.ts';

const environment = { POD_NAMESPACE: 'oci-connector', POD_NAME: 'c-0', HOME: '/home/of/nobody' };
const readers = [
  [
    'standalone',
    (given: object) => readStandaloneSettings({ ...standaloneDefaults, manifests: 'm', ...given }, environment, false),
  ],
  ['controller', (given: object) => readControllerSettings({ ...controllerDefaults, ...given }, environment, false)],
] as const;

describe.each(readers)('%s', (_command, read) => {
  test('has no identity in Oracle’s cloud unless it is told', () => {
    expect(read({}).oracle).toBeUndefined();
    expect(read({ ociAuth: 'none', ociRegistryDomains: 'example.com' }).oracle).toBeUndefined();
  });

  test('is told who it is, where to ask, and for which registries', () => {
    const settings = read({
      ociAuth: 'user',
      ociConfig: '/etc/oci/config',
      ociProfile: 'PULL',
      ociMetadataUrl: 'http://127.0.0.1:1/opc/v2/',
      ociFederationUrl: 'https://auth.example.com',
      ociVaultUrl: 'https://vault.example.com',
      ociRegistryDomains: ' Region.Example.com, 127.0.0.1:5000 ,',
      ociRegistryProtocol: 'http',
    });
    expect(settings.oracle).toEqual({
      settings: {
        auth: 'user',
        environment,
        metadataUrl: 'http://127.0.0.1:1/opc/v2/',
        federationUrl: 'https://auth.example.com',
        vaultUrl: 'https://vault.example.com',
        registryProtocol: 'http',
        configFile: '/etc/oci/config',
        profile: 'PULL',
      },
      furtherDomains: ['region.example.com', '127.0.0.1:5000'],
    });
    expect(Object.isFrozen(settings.oracle)).toBe(true);
  });

  test.each(oracleKinds.filter((kind) => kind !== 'none'))('may be %s', (ociAuth) => {
    expect(read({ ociAuth }).oracle).toMatchObject({
      settings: { auth: ociAuth, registryProtocol: 'https' },
      furtherDomains: [],
    });
  });

  test.each<[given: object, message: RegExp]>([
    [{ ociAuth: 'INSTANCE_PRINCIPAL' }, /^--oci-auth is one of none, instance, resource, workload, user, auto$/],
    [{ ociAuth: '' }, /^--oci-auth is one of/],
    [{ ociMetadataUrl: '169.254.169.254' }, /^--oci-metadata-url is an address, as https:\/\/auth\.example\.com$/],
    [{ ociFederationUrl: 'ftp://auth.example.com' }, /^--oci-federation-url is an address/],
    [{ ociVaultUrl: 'vault' }, /^--oci-vault-url is an address/],
    [{ ociRegistryDomains: 'https://ocir.example.com' }, /^--oci-registry-domains is DOMAIN\[,DOMAIN\]/],
    [{ ociRegistryDomains: '*.example.com' }, /^--oci-registry-domains .* without scheme and wildcard$/],
    [{ ociRegistryDomains: 'a.example.com,.example.com' }, /^--oci-registry-domains/],
    [{ ociRegistryDomains: 'a.example.com/team' }, /^--oci-registry-domains/],
    [{ ociRegistryProtocol: 'ftp' }, /^--oci-registry-protocol is https or http$/],
    [{ ociConfig: '' }, /--oci-config/],
    [{ ociProfile: '' }, /--oci-profile/],
  ])('is told what is wrong with %j, by the name of the option', (given, message) => {
    expect(() => read({ ociAuth: 'auto', ...given })).toThrow(UsageError);
    expect(() => read({ ociAuth: 'auto', ...given })).toThrow(message);
  });
});

test.each(['standalone', 'controller'])('%s has these options', async (command) => {
  const { code, stdout } = await run([command, '--help']);
  expect(code).toBe(0);
  for (const option of [
    '--oci-auth <kind>',
    '--oci-config <file>',
    '--oci-profile <name>',
    '--oci-metadata-url <url>',
    '--oci-federation-url <url>',
    '--oci-vault-url <url>',
    '--oci-registry-domains <list>',
    '--oci-registry-protocol <https|http>',
  ]) {
    expect(stdout).toContain(option);
  }
});

test('a command that is told nonsense ends with what to write', async () => {
  const { code, stderr } = await run(['standalone', '--manifests', '.', '--oci-auth', 'me']);
  expect(code).toBe(2);
  expect(stderr).toContain('--oci-auth is one of none, instance, resource, workload, user, auto');
});
