import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { doctor } from '../../cli/doctor.ts';
import { keepOutput, makeFolder, run } from '../support/command.ts';
import { makeImage } from '../support/image.ts';
import {
  instanceId,
  type OracleCloud,
  type OracleCloudOptions,
  startOracleCloud,
  tenancyId,
} from '../support/oracle/cloud.ts';
import { startRegistry } from '../support/registry.ts';

const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaasecret';
const repository = 'tenancy/team/app';

async function start(options: OracleCloudOptions = {}) {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  registry.seed(repository, makeImage(), ['v1']);
  const cloud = await startOracleCloud({ registryBehind: registry.origin, ...options });
  onTestFinished(() => cloud.close());
  return cloud;
}

/** A configuration of the plugin that leads to the cloud. */
async function configOf(cloud: OracleCloud, change: object = {}, oracle: object = {}): Promise<string> {
  const folder = await makeFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const file = join(folder.path, 'config.yaml');
  const { metadataUrl, federationUrl, vaultUrl, registryProtocol } = cloud.settings;
  const urls = { metadataUrl, federationUrl, vaultUrl, domains: [cloud.registryHost], ...oracle };
  await writeFile(file, JSON.stringify({ registryProtocol, oracle: urls, ...change }));
  return file;
}

/** Runs it; the lines hold no secret of the cloud. */
async function examine(cloud: OracleCloud, options: object) {
  const output = keepOutput();
  const isWell = await doctor({ oci: true, ...options }, output);
  expect(cloud.canaries().filter((canary) => output.results.includes(canary))).toEqual([]);
  return { isWell, lines: output.results };
}

const imageOf = (cloud: OracleCloud): string => `${cloud.registryHost}/${repository}:v1`;

describe('doctor --oci', () => {
  test('walks the whole way, one line a step', async () => {
    const cloud = await start();
    cloud.putLogin(secretId, { username: 'vault-user', password: 'vault-password-canary' });
    const config = await configOf(cloud);
    const { isWell, lines } = await examine(cloud, { config, image: imageOf(cloud), secret: [secretId] });
    expect(lines.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^configuration {2}ok {7}from .*config.yaml; auth instance$/),
      expect.stringMatching(/^metadata {7}ok {7}region eu-frankfurt-1, realm domain oraclecloud.com, instance ocid1/),
      expect.stringMatching(
        new RegExp(`^principal {6}ok .*kind instance, subject ${instanceId}, tenancy ${tenancyId}, until 20`),
      ),
      expect.stringMatching(/^token {10}ok {7}registry 127.0.0.1:\d+, user BEARER_TOKEN, until 20/),
      expect.stringMatching(/^registry {7}ok {7}127.0.0.1:\d+ takes the token at \/v2\/$/),
      expect.stringMatching(/^image {10}ok {7}tenancy\/team\/app may be pulled$/),
      expect.stringMatching(/^vault {10}ok {7}ocid1\S+: version 1 has username and password$/),
    ]);
    expect(lines).not.toMatch(/vault-user|canary/);
    expect(isWell).toBe(true);
  });

  test('names the policy where an image may not be pulled', async () => {
    const cloud = await start();
    cloud.registry.deny(repository);
    const { isWell, lines } = await examine(cloud, { config: await configOf(cloud), image: imageOf(cloud) });
    expect(isWell).toBe(false);
    expect(lines).toMatch(/image +failed +tenancy\/team\/app may not be pulled: .*403/);
    expect(lines).toContain('Allow dynamic-group <domain>/<group> to read repos in compartment <compartment>');
  });

  test('names the policy where a secret may not be read, and goes on to the next', async () => {
    const cloud = await start();
    cloud.putLogin(secretId, { username: 'u', password: 'p-canary' });
    const entries = ['ocid1.vaultsecret.oc1.fra.absent', secretId];
    const imagePullSecrets = entries.map((id) => ({
      secretType: 'VAULT',
      registryEndpoint: 'example.com',
      secretId: id,
    }));
    const config = await configOf(cloud, { imagePullSecrets });
    const { isWell, lines } = await examine(cloud, { config, registry: cloud.registryHost });
    expect(isWell).toBe(false);
    expect(lines).toMatch(/vault +failed +\S+absent: .*404 NotAuthorizedOrNotFound/);
    expect(lines).toContain('Allow dynamic-group <domain>/<group> to read secret-bundles in compartment <compartment>');
    expect(lines).toMatch(/vault +ok +\S+aaaasecret/);
  });

  test.each([
    ['metadata', 'metadata', /^metadata +failed .*404/m, /name another principal/],
    ['federation', 'federation', /^principal +failed .*404/m, /reaches that host/],
    ['registryService', 'token', /^token +failed .*404/m, /same realm/],
  ] as const)('says that it stops at %s, and what to do', async (service, _, where, advice) => {
    const cloud = await start();
    cloud[service].misbehave({ kind: 'answer', status: 404 });
    const { isWell, lines } = await examine(cloud, { config: await configOf(cloud), registry: cloud.registryHost });
    expect(isWell).toBe(false);
    expect(lines).toMatch(where);
    expect(lines).toMatch(advice);
    expect(lines).not.toMatch(/^registry +ok/m);
  });

  test('a registry that does not take its own token is told of', async () => {
    const cloud = await start();
    cloud.registryService.misbehave({ kind: 'answer', status: 403 }, { path: /^\/v2/ });
    const { isWell, lines } = await examine(cloud, { config: await configOf(cloud), registry: cloud.registryHost });
    expect(isWell).toBe(false);
    expect(lines).toMatch(/^registry +failed .*answered 403/m);
  });

  test('a session whose end is no date lasts a day', async () => {
    const cloud = await start({ sessionLifeMs: 1e17 });
    const { isWell, lines } = await examine(cloud, { config: await configOf(cloud), registry: cloud.registryHost });
    expect(lines).toMatch(/^principal +ok .*until 20\d\d-/m);
    expect(isWell).toBe(true);
  });

  test('what a registry says writes no lines of its own', async () => {
    const cloud = await start();
    const body = { errors: [{ code: 'DENIED', message: 'a\nimage ok\u202e\u0085\u2028b\u001b[2J' }] };
    cloud.registryService.misbehave({ kind: 'answer', status: 403, body }, { path: /^\/v2\/tenancy/ });
    const { lines } = await examine(cloud, { config: await configOf(cloud), image: imageOf(cloud) });
    expect(lines).toMatch(/^image +failed .*DENIED/m);
    expect(lines.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });

  test('a secret that is no login is told of, and not shown', async () => {
    const cloud = await start();
    cloud.vault.put(secretId, { content: 'password-canary' });
    const { isWell, lines } = await examine(cloud, {
      config: await configOf(cloud),
      registry: cloud.registryHost,
      secret: [secretId],
    });
    expect(isWell).toBe(false);
    expect(lines).toMatch(/vault +failed .*no JSON object/);
    expect(lines).not.toContain('canary');
  });

  test('a user needs no metadata, and the policy names a group', async () => {
    const cloud = await start();
    cloud.registry.deny(repository);
    const folder = await makeFolder();
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const configFile = await cloud.userConfig(folder.path);
    const config = await configOf(cloud, {}, { configFile });
    const { lines } = await examine(cloud, { config, auth: 'user', image: imageOf(cloud) });
    expect(lines).toMatch(/^metadata +skipped/m);
    expect(lines).toMatch(/^principal +ok +kind user$/m);
    expect(lines).toContain('Allow group <domain>/<group> to read repos');
    expect(cloud.metadata.requests).toEqual([]);
  });

  test.each([
    [{ oci: undefined }, /--oci/],
    [{ auth: 'root' }, /--auth is one of/],
    [{ registry: 'evilocir.io' }, /no registry of Oracle's/],
    [{ image: 'docker.io/library/alpine' }, /no registry of Oracle's/],
    [{ image: 'fra.ocir.io/a/b', registry: 'iad.ocir.io' }, /leave one of them out/],
    [{ image: 'UPPER case' }, /--image is not an image/],
    [{ config: '/does/not/exist' }, /--config \/does\/not\/exist cannot be read/],
  ])('refuses %j', async (options, words) => {
    await expect(doctor({ oci: true, ...options }, keepOutput())).rejects.toThrow(words);
  });

  test('exit codes: 0 where all is well, 1 where a step fails, 2 for a wrong command line', async () => {
    const cloud = await start();
    const args = ['doctor', '--oci', '--config', await configOf(cloud), '--registry', cloud.registryHost];
    expect(await run(args)).toMatchObject({ code: 0, stderr: '' });
    cloud.federation.misbehave({ kind: 'answer', status: 500 });
    const { code, stdout } = await run(args);
    expect({ code, last: stdout.trimEnd().split('\n').at(-1) }).toEqual({
      code: 1,
      last: expect.stringContaining('to do: '),
    });
    expect(await run(['doctor'])).toMatchObject({ code: 2, stdout: '' });
  });
});
