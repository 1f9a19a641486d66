import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import type { OracleCloud } from '../../support/oracle/cloud.ts';
import { failureOf, folder, keepConsole, open, patience, secretId, start } from './fixtures.ts';

const printed = keepConsole();

const steps = [
  ['metadata', 'metadata', 'registryToken'],
  ['federation', 'federation', 'registryToken'],
  ['registryService', 'token', 'registryToken'],
  ['vaultService', 'vault', 'vaultSecret'],
] as const;

const call = (
  cloud: OracleCloud,
  which: 'registryToken' | 'vaultSecret',
  signal: AbortSignal,
  stepTimeoutMs?: number,
) => {
  const oracle = open(cloud, stepTimeoutMs === undefined ? {} : { stepTimeoutMs });
  return which === 'registryToken'
    ? oracle.registryToken(cloud.registryHost, signal)
    : oracle.vaultSecret(secretId, signal);
};

describe('nothing waits for a service that hangs', () => {
  describe.each(steps)('%s', (service, step, which) => {
    test.each(['hang', 'half'] as const)('%s: the step ends when its time is up', async (kind) => {
      const cloud = await start();
      cloud[service].misbehave({ kind });
      const error = await failureOf(cloud, call(cloud, which, patience(), 700));
      expect(error).toMatchObject({ step, code: 'Timeout', isRetryable: true });
      expect(error.message).toMatch(/did not answer within 0.7 s/);
    });

    test('half a body is no answer', async () => {
      const cloud = await start();
      cloud[service].misbehave({ kind: 'cut' });
      const error = await failureOf(cloud, call(cloud, which, patience(), 3000));
      expect(error).toMatchObject({ step, isRetryable: true });
    });

    test('a caller that leaves is let go at once, with its own reason', async () => {
      const cloud = await start();
      cloud[service].misbehave({ kind: 'hang' });
      const leaving = new AbortController();
      const pending = call(cloud, which, leaving.signal, 60_000);
      await cloud[service].arrivals(1);
      leaving.abort(new Error('gone'));
      await expect(pending).rejects.toThrow('gone');
    });

    test('a caller that has left already asks nobody', async () => {
      const cloud = await start();
      await expect(call(cloud, which, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
      expect(cloud.metadata.requests).toEqual([]);
    });
  });

  test('the proxymux', async () => {
    const cloud = await start();
    cloud.proxymux.misbehave({ kind: 'hang' });
    const environment = await cloud.workloadEnvironment(await folder());
    const oracle = open(cloud, { auth: 'workload', environment, stepTimeoutMs: 700 });
    expect(await failureOf(cloud, oracle.identity(patience()))).toMatchObject({ step: 'federation', code: 'Timeout' });
  });

  test('nobody there', async () => {
    const cloud = await start();
    await cloud.close();
    const error = await failureOf(cloud, call(cloud, 'registryToken', patience()));
    expect(error).toMatchObject({ step: 'metadata', code: 'Unavailable' });
    expect(error.message).toMatch(/connection was refused/);
  });

  test('a slow answer is an answer', async () => {
    const cloud = await start();
    cloud.registryService.misbehave({ kind: 'slow', ms: 300 });
    const { token } = await open(cloud).registryToken(cloud.registryHost, patience());
    expect(cloud.isValidToken(token)).toBe(true);
  });
});

test('the SDK does not ask again for a federation that nobody waits for any more', async () => {
  const cloud = await start();
  cloud.federation.misbehave({ kind: 'hang' });
  await failureOf(cloud, call(cloud, 'registryToken', patience(), 500));
  await vi.waitFor(() => expect(printed.join('\n')).toContain('failed with status: 400'));
  expect(printed.join('\n')).not.toContain('Retrying');
  expect(cloud.federation.requests.length).toBe(1);
});

test('a process that only opens ends by itself, and has not loaded the SDK', async () => {
  const source = `
    import { createRequire } from 'node:module';
    const { openOracle } = await import(process.argv[1]);
    const loaded = () => Object.keys(createRequire(process.argv[1]).cache).some((file) => file.includes('/oci-common/'));
    openOracle({ auth: 'instance', environment: {} });
    const before = loaded();
    await import(process.argv[2]).then(({ loadCommon }) => loadCommon());
    console.log(JSON.stringify([before, loaded()]));
  `;
  const files = ['open.ts', 'sdk.ts'].map(
    (name) => new URL(`../../../credentials/oracle/${name}`, import.meta.url).href,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source, ...files]);
  expect(JSON.parse(stdout)).toEqual([false, true]);
});
