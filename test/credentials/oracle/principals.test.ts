import { generateKeyPairSync } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { instanceId, tenancyId } from '../../support/oracle/cloud.ts';
import { failureOf, folder, keepConsole, open, patience, secretId, start } from './fixtures.ts';

keepConsole();

const minute = 60_000;

describe('the instance principal', () => {
  test('federates the certificate that the metadata service gives, and says whose session it is', async () => {
    const cloud = await start();
    const oracle = open(cloud);
    const { kind, claims, expiresAt } = await oracle.identity(patience());
    expect({ kind, ...claims }).toMatchObject({ kind: 'instance', sub: instanceId, 'opc-tenant': tenancyId });
    expect(expiresAt).toBeGreaterThan(Date.now());
    const { token } = await oracle.registryToken(cloud.registryHost, patience());
    expect(cloud.isValidToken(token)).toBe(true);
  });

  test('parallel calls share one federation, and later ones its session', async () => {
    const cloud = await start();
    cloud.putLogin(secretId, { username: 'u', password: 'p' });
    const oracle = open(cloud);
    const call = () => oracle.registryToken(cloud.registryHost, patience());
    await Promise.all([call(), call(), oracle.vaultSecret(secretId, patience())]);
    await call();
    expect(cloud.federation.requests.length).toBe(1);
    expect(cloud.registryService.requests.length).toBe(3);
  });

  test('one caller that leaves does not take the federation from another', async () => {
    const cloud = await start();
    cloud.federation.misbehave({ kind: 'slow', ms: 100 });
    const oracle = open(cloud);
    const leaving = new AbortController();
    const left = oracle.registryToken(cloud.registryHost, leaving.signal);
    const stayed = oracle.registryToken(cloud.registryHost, patience());
    await cloud.federation.arrivals(1);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(cloud.isValidToken((await stayed).token)).toBe(true);
    expect(cloud.federation.requests.length).toBe(1);
  });

  test('a session that is about to expire is replaced before it is used', async () => {
    const cloud = await start({ sessionLifeMs: 100_000 });
    let now = Date.now();
    const oracle = open(cloud, { now: () => now });
    const call = () => oracle.registryToken(cloud.registryHost, patience());
    await call();
    now += 80_000;
    await call();
    expect(cloud.federation.requests.length).toBe(1);
    now += 15_000;
    await call();
    expect(cloud.federation.requests.length).toBe(2);
  });

  test('a session that a service refuses is replaced once', async () => {
    const cloud = await start();
    let now = Date.now();
    const oracle = open(cloud, { now: () => now });
    await oracle.identity(patience());
    cloud.revokeSessions();
    now += minute;
    const { token } = await oracle.registryToken(cloud.registryHost, patience());
    expect(cloud.isValidToken(token)).toBe(true);
    expect(cloud.federation.requests.length).toBe(2);

    cloud.registryService.misbehave({ kind: 'answer', status: 401, body: { code: 'NotAuthenticated' } });
    now += minute;
    const error = await failureOf(cloud, oracle.registryToken(cloud.registryHost, patience()));
    expect(error).toMatchObject({ step: 'token', code: 'Denied', isRetryable: false });
    expect(cloud.federation.requests.length).toBe(3);
  });

  test('the region may be a short code, and of a realm that only the metadata service knows', async () => {
    const cloud = await start({ regionInfo: null, region: 'fra' });
    await open(cloud).identity(patience());
    const newer = await start({
      region: 'xx-new-1',
      regionInfo: { realmKey: 'oc99', realmDomainComponent: 'oraclecloud99.invalid', regionIdentifier: 'xx-new-1' },
    });
    const { federationUrl: _, ...settings } = newer.settings;
    const oracle = open(newer, { ...settings, federationUrl: undefined });
    const error = await failureOf(newer, oracle.identity(patience()));
    expect(error).toMatchObject({ step: 'federation', isRetryable: true });
    expect(error.message).toContain('auth.xx-new-1.oraclecloud99.invalid');
  });

  test.each([
    [{ status: 404 }, 'Denied', /no instance/],
    [{ status: 401 }, 'Denied', /answered 401/],
    [{ status: 429, headers: { 'retry-after': '7' } }, 'Limited', /answered 429/],
    [{ status: 503 }, 'Unavailable', /answered 503/],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'Protocol', /answered 302/],
    [{ status: 200, body: '' }, 'Protocol', /answered nothing/],
    [{ status: 200, body: 'evil.com/' }, 'Protocol', /region/],
  ])('a metadata service that answers %j is told of', async (answer, code, words) => {
    const cloud = await start();
    cloud.metadata.misbehave({ kind: 'answer', ...answer });
    const error = await failureOf(cloud, open(cloud).identity(patience()));
    expect(error).toMatchObject({ step: 'metadata', code });
    expect(error.message).toMatch(words);
    if (code === 'Limited') expect(error.retryAfterMs).toBe(7000);
  });

  test.each([
    ['identity/key.pem', 'no key'],
    ['identity/cert.pem', 'no certificate'],
    ['identity/intermediate.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
  ])('%s that cannot be read is named', async (path, body) => {
    const cloud = await start();
    cloud.metadata.misbehave({ kind: 'answer', status: 200, body }, { path: new RegExp(path) });
    const error = await failureOf(cloud, open(cloud).identity(patience()));
    expect(error).toMatchObject({ step: 'metadata', code: 'Protocol' });
    expect(error.message).toContain(path);
  });

  test('the federation refuses a chain that it does not know, and a key that is not of the certificate', async () => {
    const cloud = await start();
    const other = await cloud.intermediateAuthority.issue(`CN=other, OU=opc-tenant:${tenancyId}`);
    const own = cloud.identity.leaf;
    cloud.identity.leaf = { certificate: own.certificate, privateKey: other.privateKey };
    const wrongKey = await failureOf(cloud, open(cloud).identity(patience()));
    expect(wrongKey).toMatchObject({ step: 'federation', code: 'Denied' });
    expect(wrongKey.message).toContain('401 NotAuthenticated');

    cloud.identity.leaf = own;
    cloud.identity.intermediate = other.certificate;
    expect(await failureOf(cloud, open(cloud).identity(patience()))).toMatchObject({
      step: 'federation',
      code: 'Denied',
    });
  });

  test.each([
    ['a token that is none', { token: 'a\r\nb' }, 'Protocol'],
    ['no token', { other: 1 }, 'Protocol'],
    ['no JSON', 'service-account-token-canary', 'Protocol'],
  ])('a federation that answers %s is told of', async (_, body, code) => {
    const cloud = await start();
    cloud.federation.misbehave({ kind: 'answer', status: 200, body });
    expect(await failureOf(cloud, open(cloud).identity(patience()))).toMatchObject({ step: 'federation', code });
  });

  test('a federation that is busy for a moment is asked again', async () => {
    const cloud = await start();
    cloud.federation.misbehave({ kind: 'answer', status: 503 }, { times: 1 });
    await open(cloud).identity(patience());
    expect(cloud.federation.requests.length).toBe(2);
  });

  test('a clock that is wrong is named as the reason', async () => {
    const cloud = await start();
    const oracle = open(cloud);
    await oracle.identity(patience());
    cloud.clockAheadMs = 6 * 60_000;
    const error = await failureOf(cloud, oracle.registryToken(cloud.registryHost, patience()));
    expect(error.message).toMatch(/clock of this machine is 6 minutes behind/);
  });
});

describe('the resource principal', () => {
  test.each([['values'], ['files']])('takes %s of the environment', async (kind) => {
    const cloud = await start();
    const environment = await cloud.resourceEnvironment(kind === 'files' ? await folder() : undefined);
    const oracle = open(cloud, { auth: 'resource', environment });
    expect(cloud.isValidToken((await oracle.registryToken(cloud.registryHost, patience())).token)).toBe(true);
    expect((await oracle.identity(patience())).kind).toBe('resource');
    expect(cloud.metadata.requests).toEqual([]);
  });

  test('a token that was replaced in its file is read after a 401', async () => {
    const cloud = await start();
    const path = await folder();
    let now = Date.now();
    const environment = await cloud.resourceEnvironment(path);
    const oracle = open(cloud, { auth: 'resource', environment, now: () => now });
    await oracle.identity(patience());
    cloud.revokeSessions();
    now += minute;
    await cloud.resourceEnvironment(path);
    await oracle.registryToken(cloud.registryHost, patience());
  });

  test.each([
    [{ OCI_RESOURCE_PRINCIPAL_VERSION: '' }, /VERSION is not set/],
    [{ OCI_RESOURCE_PRINCIPAL_VERSION: '1.1' }, /VERSION/],
    [{ OCI_RESOURCE_PRINCIPAL_RPST: '' }, /RPST is not set/],
    [{ OCI_RESOURCE_PRINCIPAL_RPST: '/does/not/exist' }, /\/does\/not\/exist, does not exist/],
    [{ OCI_RESOURCE_PRINCIPAL_RPST: 'a "b"' }, /RPST is no session token/],
    [{ OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM: 'secret-canary' }, /PRIVATE_PEM is no RSA key/],
  ])('%j: %s', async (change, words) => {
    const cloud = await start();
    const environment = { ...(await cloud.resourceEnvironment()), ...change };
    const error = await failureOf(cloud, open(cloud, { auth: 'resource', environment }).identity(patience()));
    expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
    expect(error.message).toMatch(words);
    expect(error.message).not.toContain('secret-canary');
  });

  test('a token that has expired is told of', async () => {
    const cloud = await start({ sessionLifeMs: -1000 });
    const environment = await cloud.resourceEnvironment();
    const error = await failureOf(cloud, open(cloud, { auth: 'resource', environment }).identity(patience()));
    expect(error.message).toMatch(/has expired/);
  });
});

describe('the workload principal', () => {
  test('exchanges the service account token at the proxymux, whose CA is the cluster’s', async () => {
    const cloud = await start();
    const environment = await cloud.workloadEnvironment(await folder());
    const oracle = open(cloud, { auth: 'workload', environment });
    expect(cloud.isValidToken((await oracle.registryToken(cloud.registryHost, patience())).token)).toBe(true);
    expect(cloud.proxymux.requests.length).toBe(1);
  });

  test('the service account token is read anew for each session', async () => {
    const cloud = await start();
    const environment = await cloud.workloadEnvironment(await folder());
    let now = Date.now();
    const oracle = open(cloud, { auth: 'workload', environment, now: () => now });
    await oracle.identity(patience());
    cloud.revokeSessions();
    now += minute;
    await writeFile(environment['OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH'] ?? '', 'another');
    const error = await failureOf(cloud, oracle.registryToken(cloud.registryHost, patience()));
    expect(error).toMatchObject({ step: 'federation', code: 'Denied' });
    expect(error.message).toMatch(/service account token/);
  });

  test('a proxymux of another CA is not told the token', async () => {
    const cloud = await start();
    const environment = await cloud.workloadEnvironment(await folder());
    await writeFile(environment['OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH'] ?? '', cloud.identity.intermediate);
    const error = await failureOf(cloud, open(cloud, { auth: 'workload', environment }).identity(patience()));
    expect(error).toMatchObject({ step: 'federation', code: 'Unavailable' });
    expect(error.message).toMatch(/certificate/);
    expect(cloud.proxymux.requests).toEqual([]);
  });

  test.each([
    [{ status: 403 }, 'Denied', /enhanced/],
    [{ status: 500 }, 'Unavailable', /500/],
    [{ status: 200, body: 'not base64 of JSON' }, 'Protocol', /without a session token/],
    [{ status: 200, body: Buffer.from('{"token":"ST$a\\nb"}').toString('base64') }, 'Protocol', /without/],
  ])('an answer %j is told of', async (answer, code, words) => {
    const cloud = await start();
    cloud.proxymux.misbehave({ kind: 'answer', ...answer });
    const environment = await cloud.workloadEnvironment(await folder());
    const error = await failureOf(cloud, open(cloud, { auth: 'workload', environment }).identity(patience()));
    expect(error).toMatchObject({ step: 'federation', code });
    expect(error.message).toMatch(words);
  });
});

describe('the user principal', () => {
  test('signs with the API key of a configuration file', async () => {
    const cloud = await start();
    const configFile = await cloud.userConfig(await folder());
    const oracle = open(cloud, { auth: 'user', configFile });
    expect(cloud.isValidToken((await oracle.registryToken(cloud.registryHost, patience())).token)).toBe(true);
    expect(await oracle.identity(patience())).toEqual({ kind: 'user', expiresAt: undefined, claims: {} });
  });

  test.each([
    [{ tenancy: '' }, /has no tenancy/],
    [{ user: '' }, /has no user/],
    [{ fingerprint: '' }, /has no fingerprint/],
    [{ fingerprint: '00:11' }, /fingerprint .* is not that of key_file/],
    [{ key_file: '/does/not/exist' }, /cannot be read/],
    [{ authentication_type: 'instance_principal' }, /authentication_type/],
  ])('%j: %s', async (fields, words) => {
    const cloud = await start();
    const configFile = await cloud.userConfig(await folder(), fields);
    const error = await failureOf(cloud, open(cloud, { auth: 'user', configFile }).identity(patience()));
    expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
    expect(error.message).toMatch(words);
  });

  test('a file that cannot be understood is named, and its lines are not repeated', async () => {
    const cloud = await start();
    const configFile = join(await folder(), 'config');
    await writeFile(configFile, '[DEFAULT]\npass_phrase secret-canary\n');
    const error = await failureOf(cloud, open(cloud, { auth: 'user', configFile }).identity(patience()));
    expect(error.message).toContain(configFile);
    expect(error.message).not.toContain('secret-canary');
    await rm(configFile);
    expect((await failureOf(cloud, open(cloud, { auth: 'user', configFile }).identity(patience()))).message).toMatch(
      /does not exist/,
    );
  });

  test('a key is opened with its pass phrase, and a wrong one is told of', async () => {
    const cloud = await start();
    const path = await folder();
    const keyFile = join(path, 'own.pem');
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'phrase-canary' };
    await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }));
    const wrong = await cloud.userConfig(path, { key_file: keyFile, pass_phrase: 'wrong-canary' });
    const error = await failureOf(cloud, open(cloud, { auth: 'user', configFile: wrong }).identity(patience()));
    expect(error.message).toMatch(/no RSA key that pass_phrase opens/);
    expect(error.message).not.toContain('canary');
    expect(publicKey.asymmetricKeyType).toBe('rsa');
    const right = await cloud.userConfig(path, { key_file: keyFile, pass_phrase: 'phrase-canary' });
    const opened = await failureOf(cloud, open(cloud, { auth: 'user', configFile: right }).identity(patience()));
    expect(opened.message).toMatch(/fingerprint/);
  });
});

describe('auth "auto"', () => {
  test('takes the first that the surroundings speak for: resource, workload, instance, user', async () => {
    const cloud = await start();
    const path = await folder();
    const resource = await cloud.resourceEnvironment();
    const workload = await cloud.workloadEnvironment(path);
    const configFile = await cloud.userConfig(path);
    const kindOf = async (environment: Record<string, string>) =>
      (await open(cloud, { auth: 'auto', environment, configFile }).identity(patience())).kind;
    expect(await kindOf({ ...resource, ...workload })).toBe('resource');
    expect(await kindOf(workload)).toBe('workload');
    expect(await kindOf({})).toBe('instance');
    cloud.metadata.misbehave({ kind: 'answer', status: 404 });
    expect(await kindOf({})).toBe('user');
  });

  test('says what it tried and why each failed', async () => {
    const cloud = await start();
    cloud.metadata.misbehave({ kind: 'answer', status: 404 });
    const environment = { OCI_RESOURCE_PRINCIPAL_VERSION: '2.2', HOME: '/nowhere' };
    const error = await failureOf(cloud, open(cloud, { auth: 'auto', environment }).identity(patience()));
    expect(error).toMatchObject({ step: 'configuration', code: 'Misconfigured' });
    expect(error.message).toMatch(/resource: .*PEM is not set; workload: .*; instance: .*404.*; user: .*\/nowhere/);
  });

  test('a principal that is away for a moment does not make us somebody else', async () => {
    const cloud = await start();
    cloud.federation.misbehave({ kind: 'answer', status: 429 });
    let now = Date.now();
    const configFile = await cloud.userConfig(await folder());
    const oracle = open(cloud, { auth: 'auto', configFile, now: () => now });
    const error = await failureOf(cloud, oracle.identity(patience()));
    expect(error).toMatchObject({ step: 'federation', code: 'Limited', isRetryable: true });
    cloud.federation.behave();
    now += minute;
    expect((await oracle.identity(patience())).kind).toBe('instance');
    cloud.metadata.misbehave({ kind: 'answer', status: 404 });
    cloud.revokeSessions();
    now += minute;
    expect(await failureOf(cloud, oracle.registryToken(cloud.registryHost, patience()))).toMatchObject({
      step: 'metadata',
    });
  });

  test('any other kind never falls back', async () => {
    const cloud = await start();
    const configFile = await cloud.userConfig(await folder());
    for (const auth of ['resource', 'workload'] as const) {
      await failureOf(cloud, open(cloud, { auth, configFile }).identity(patience()));
    }
    expect(cloud.metadata.requests).toEqual([]);
  });

  test.each([429, 503])('a metadata service that answers %d is no reason to be somebody else', async (status) => {
    const cloud = await start();
    const configFile = await cloud.userConfig(await folder());
    cloud.metadata.misbehave({ kind: 'answer', status, body: '{}' });
    let now = Date.now();
    const oracle = open(cloud, { auth: 'auto', configFile, now: () => now });
    const error = await failureOf(cloud, oracle.identity(patience()));
    expect(error).toMatchObject({ step: 'metadata', isRetryable: true });
    cloud.metadata.behave();
    now += minute;
    expect((await oracle.identity(patience())).kind).toBe('instance');
  });
});
