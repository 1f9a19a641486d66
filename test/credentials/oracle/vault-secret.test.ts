import { describe, expect, test } from 'vitest';
import { vaultEndpoint } from '../../../credentials/oracle/vault-secret.ts';
import { failureOf, keepConsole, oddBody, open, patience, plainMessage, secretId, start } from './fixtures.ts';

const printed = keepConsole();
const login = { username: 'container-instance-user', password: 'vault-password-canary' };

describe('a secret of the vault', () => {
  test('gives user name and password, and ignores other fields', async () => {
    const cloud = await start();
    cloud.putLogin(secretId, { ...login, registry: 'x', nested: { a: 1 } });
    expect(await open(cloud).vaultSecret(secretId, patience())).toEqual({ ...login, version: 1 });
    expect(cloud.vaultService.requests[0]?.path).toContain(`/20190301/secretbundles/${secretId}?stage=`);
  });

  test('is its latest version, as soon as that is in use', async () => {
    const cloud = await start();
    const oracle = open(cloud);
    const read = async () => (await oracle.vaultSecret(secretId, patience())).password;
    cloud.putLogin(secretId, { ...login, password: 'first' });
    expect(await read()).toBe('first');
    cloud.putLogin(secretId, { ...login, password: 'second' });
    expect(await read()).toBe('second');
    const staged = cloud.putLogin(secretId, { ...login, password: 'staged' }, { stage: 'PENDING' });
    expect(await read()).toBe('second');
    cloud.vault.promote(secretId, staged);
    expect(await oracle.vaultSecret(secretId, patience())).toEqual({ ...login, password: 'staged', version: 3 });
  });

  test.each([
    ['absent or denied', 404, 'NotAuthorizedOrNotFound', /no such secret, or no policy/],
    ['denied', 403, 'Denied', /secret-bundles/],
    ['no OCID', 400, 'Protocol', /OCID/],
    ['nothing', 204, 'Protocol', /answered 204/],
    ['elsewhere', 304, 'Protocol', /answered 304/],
  ])('that is %s is asked for once, and told of', async (_, status, code, words) => {
    const cloud = await start();
    cloud.vaultService.misbehave({ kind: 'answer', status, body: { code: 'NotAuthorizedOrNotFound', message: '' } });
    const error = await failureOf(cloud, open(cloud).vaultSecret(secretId, patience()));
    expect(error).toMatchObject({ step: 'vault', code, isRetryable: false });
    expect(error.message).toMatch(words);
    expect(cloud.vaultService.requests.length).toBe(1);
  });

  test.each([400, 401, 403, 404])(
    'that answers %i with odd characters is told of in short and in plain ones',
    async (status) => {
      const cloud = await start();
      cloud.vaultService.misbehave({ kind: 'answer', status, body: oddBody });
      const { message } = await failureOf(cloud, open(cloud).vaultSecret(secretId, patience()));
      expect(message).toMatch(plainMessage);
    },
  );

  test.each([429, 409, 500, 503])('is asked for again after %i', async (status) => {
    const cloud = await start();
    cloud.putLogin(secretId, login);
    cloud.vaultService.misbehave({ kind: 'answer', status, body: { code: 'Busy' } }, { times: 1 });
    expect(await open(cloud).vaultSecret(secretId, patience())).toMatchObject(login);
    expect(cloud.vaultService.requests.length).toBe(2);
  });

  test('is asked for with a new session after 401', async () => {
    const cloud = await start();
    cloud.putLogin(secretId, login);
    let now = Date.now();
    const oracle = open(cloud, { now: () => now });
    await oracle.vaultSecret(secretId, patience());
    cloud.revokeSessions();
    now += 60_000;
    expect(await oracle.vaultSecret(secretId, patience())).toMatchObject(login);
    expect(cloud.federation.requests.length).toBe(2);
  });

  test.each([
    ['not JSON', 'vault-password-canary', /no JSON object/],
    ['JSON of another kind', '["vault-password-canary"]', /no JSON object/],
    ['null', 'null', /no JSON object/],
    ['empty', '', /content is empty/],
    ['blank', ' \n', /content is empty/],
    ['binary', Buffer.from([0xff, 0xfe, 0, 1]), /binary/],
    ['without username', '{"password":"vault-password-canary"}', /username is missing/],
    ['without password', '{"username":"vault-password-canary"}', /password is missing/],
    ['a number', '{"username":"u","password":12345678}', /password is no string/],
    ['an empty password', '{"username":"u","password":""}', /password is empty/],
    ['a line break', '{"username":"u\\nv","password":"p"}', /username has a line break/],
  ])('whose content is %s is malformed, and nothing of it is repeated', async (_, content, words) => {
    const cloud = await start();
    cloud.vault.put(secretId, { content });
    const error = await failureOf(cloud, open(cloud).vaultSecret(secretId, patience()));
    expect(error).toMatchObject({ step: 'content', code: 'SecretMalformed', isRetryable: false });
    expect(error.message).toMatch(words);
    expect([error.message, ...printed].join()).not.toMatch(/canary|12345678/);
  });

  test.each([
    ['not base64', { contentType: 'BASE64', content: 'vault-password-canary!' }, /not base64/],
    ['of another type', { contentType: 'PLAIN', content: 'vault-password-canary' }, /contentType/],
    ['absent', {}, /contentType/],
    ['no text', { contentType: 'BASE64', content: 12345678 }, /content is empty/],
  ])('whose content is %s is malformed', async (_, bundleContent, words) => {
    const cloud = await start();
    cloud.vault.put(secretId, { content: '', bundleContent });
    const error = await failureOf(cloud, open(cloud).vaultSecret(secretId, patience()));
    expect(error.code).toBe('SecretMalformed');
    expect(error.message).toMatch(words);
    expect([error.message, ...printed].join()).not.toMatch(/canary|12345678/);
  });

  test.each([['vault-password-canary'], ['{"secretBundleContent": "vault-password-canary'], [''], ['null'], ['[]']])(
    'an answer that is no bundle is not repeated: %j',
    async (body) => {
      const cloud = await start();
      cloud.vaultService.misbehave({ kind: 'answer', status: 200, body });
      const error = await failureOf(cloud, open(cloud).vaultSecret(secretId, patience()));
      expect(['Protocol', 'SecretMalformed']).toContain(error.code);
      expect([error.message, ...printed].join()).not.toContain('canary');
    },
  );

  test.each([
    ['ocid1.vaultsecret.oc1.fra.aaaa', 'secrets.vaults.eu-frankfurt-1.oci.oraclecloud.com'],
    ['ocid1.vaultsecret.oc3.us-gov-ashburn-1.aaaa', 'secrets.vaults.us-gov-ashburn-1.oci.oraclegovcloud.com'],
    ['ocid1.vaultsecret.oc19.xx-newer-1.aaaa', 'secrets.vaults.xx-newer-1.oci.oraclecloud.eu'],
  ])('%s is in the vault of its own region: %s', async (id, host) => {
    expect(await vaultEndpoint(id)).toBe(`https://${host}`);
  });

  test.each([
    '',
    'secret',
    'ocid1.vaultsecret.oc1..aaaa',
    'ocid1.vaultsecret.oc1.evil.com/.aaaa',
    'ocid1.key.oc1.fra.a',
  ])('%j names no region, and nobody is asked', async (id) => {
    const cloud = await start();
    const error = await failureOf(cloud, open(cloud, { vaultUrl: undefined }).vaultSecret(id, patience()));
    expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
    expect(cloud.metadata.requests).toEqual([]);
  });
});
